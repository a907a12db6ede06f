"""Queues and tables: names, clients, records."""
