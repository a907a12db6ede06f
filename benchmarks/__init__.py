"""Programs that print measurements; nothing is asserted."""
