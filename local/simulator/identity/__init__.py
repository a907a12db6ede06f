"""Entra ID, a managed identity and a vault."""
