"""A conversation with Partner Center; trips the switch if the account is not a sandbox."""

from types import TracebackType

from shared.partner_center.client import PartnerCenter
from shared.partner_center.errors import NotASandbox
from shared.safety.rules import Refused, Rule
from shared.safety.switch import Switch

BY_ITSELF = "tipsweep"


class Conversation:
    """A context manager around every use of a client.

    If Partner Center says that the account is not a sandbox, this trips the switch and raises
    Refused instead of NotASandbox, so that no caller can forget to.
    """

    def __init__(self, client: PartnerCenter, switch: Switch) -> None:
        self.client = client
        self._switch = switch

    def __enter__(self) -> PartnerCenter:
        return self.client

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, NotASandbox):
            self._switch.trip(BY_ITSELF, str(error))
            remedy = "The safety switch is tripped: check the account, then reset it."
            raise Refused(Rule.SANDBOX, str(error), remedy) from error
