"""The rules and the switch that guard every write."""
