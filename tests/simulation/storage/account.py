"""One storage account with its queues and tables."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Final
from urllib.parse import urlsplit

from tests.simulation.storage.http import Request, Response
from tests.simulation.storage.queues import Queues
from tests.simulation.storage.tables import Tables

ACCOUNT: Final = "devstoreaccount1"
QUEUES_HOST: Final = "storage.sim:10001"
TABLES_HOST: Final = "storage.sim:10002"


class Storage:
    """The queue and the table service of one account; signatures are not checked."""

    connection_string: Final = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};"
        f"AccountKey={b64encode(b'simulated').decode()};"
        f"QueueEndpoint=http://{QUEUES_HOST}/{ACCOUNT};"
        f"TableEndpoint=http://{TABLES_HOST}/{ACCOUNT};"
    )

    def __init__(self, now: Callable[[], datetime], chance: Random) -> None:
        self.queues = Queues(now, chance)
        self._services: dict[str, Queues | Tables] = {
            QUEUES_HOST: self.queues,
            TABLES_HOST: Tables(now, chance),
        }

    def texts(self, queue: str) -> list[str]:
        """Return the texts of all messages of a queue, the invisible ones too."""
        return self.queues.texts(queue)

    def respond(self, request: Request) -> Response:
        """Respond to a request to either service; raises NotModelled for any other."""
        service = self._services.get(urlsplit(request.url).netloc)
        if service is None:
            raise request.not_modelled()
        return service.respond(request)
