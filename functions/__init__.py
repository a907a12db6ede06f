"""The triggers of tipsweep, one blueprint for each group."""
