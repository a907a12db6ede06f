"""A stand-in for the Functions host: runs the app where Core Tools cannot be had."""

from local.host.errors import StartupError
from local.host.host import Host

__all__ = ["Host", "StartupError"]
