"""The simulated cloud behind a TLS server on localhost."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from local.simulator.app_settings import app_settings
from local.simulator.certificates import authority
from local.simulator.cloud import SimulatedCloud
from local.simulator.seeds import seed_named
from local.simulator.server import Server, loopback_socket
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour


class Simulator(SimulatedCloud):
    """A simulated cloud that listens on one port of localhost.

    Create it with `start`. As a context manager it stops on exit.
    """

    def __init__(self, port: int, behaviour: Behaviour | None, seed: str) -> None:
        self._socket = loopback_socket(port)
        self.port: int = self._socket.getsockname()[1]
        super().__init__(self.port, behaviour=behaviour, seed=seed)
        self._directory = tempfile.TemporaryDirectory(prefix="tipsweep-simulator-")
        self.ca_file = Path(self._directory.name) / "ca.pem"
        self.ca_file.write_bytes(authority().cert_pem.bytes())
        self._server = Server(self.app, self._socket)

    @classmethod
    def start(
        cls, port: int = 0, *, behaviour: Behaviour | None = None, seed: str = "empty"
    ) -> Self:
        """Return a simulator that is listening; port 0 picks a free port.

        Raises ValueError for an unknown seed, OSError if the port is taken.
        """
        # Checked before a socket is bound, which would stay open after the error.
        seed_named(seed)
        simulator = cls(port, behaviour, seed)
        simulator._server.start()
        return simulator

    def stop(self) -> None:
        """Stop listening and remove the CA file."""
        self._server.stop()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self, account: Account | None = None, auth: str = "secret") -> dict[str, str]:
        """Return the app settings for an account, including the CA that clients must trust."""
        return {
            **app_settings(self, account, auth),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
        }
