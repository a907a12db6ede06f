"""Deletions of sandbox customers: messages, plan, steps, guards, records and queues."""
