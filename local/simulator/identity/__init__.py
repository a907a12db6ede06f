"""Entra ID, a managed identity and a key vault."""
