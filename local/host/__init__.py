"""A stand-in for the Functions host: runs the app where Core Tools cannot be had."""

from local.host.host import Host
from local.host.refusal import Refused

__all__ = ["Host", "Refused"]
