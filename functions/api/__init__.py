"""The HTTP functions that speak JSON, for Logic Apps, scripts and people."""
