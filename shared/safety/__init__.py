"""The rules and the switch that stand before every write."""
