"""A small replacement for the Functions host, for machines without Core Tools."""

from local.host.errors import StartupError
from local.host.host import Host

__all__ = ["Host", "StartupError"]
