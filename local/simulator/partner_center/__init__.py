"""The REST API of Partner Center."""
