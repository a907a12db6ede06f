"""What the simulated accounts hold, and how it behaves."""
