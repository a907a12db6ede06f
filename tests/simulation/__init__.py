"""Deterministic simulation of the whole app: bad days that can be replayed."""
