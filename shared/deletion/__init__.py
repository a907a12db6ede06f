"""The deletion of a customer: messages, claims, steps, and what their errors mean."""
