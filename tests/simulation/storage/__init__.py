"""A model of the Azure Table and Queue services at the HTTP level, without I/O or a wall clock."""

from tests.simulation.storage.account import Storage
from tests.simulation.storage.http import NotModelled, Request, Response
from tests.simulation.storage.queues import Queues
from tests.simulation.storage.tables import Tables

__all__ = ["NotModelled", "Queues", "Request", "Response", "Storage", "Tables"]
