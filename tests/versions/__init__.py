"""Samples of every message and row, by the version that wrote them first."""
