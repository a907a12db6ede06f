"""Accounts, customers and purchases, the clock, and the current behaviour."""
