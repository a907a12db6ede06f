"""The HTTP functions: for Logic Apps, for scripts, and a page for people."""
