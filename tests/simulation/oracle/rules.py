"""Every rule of the oracle; its docstring says what must hold."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.oracle import dry_runs, ends, messages, runs, traffic, writes
from tests.simulation.oracle.history import History
from tests.simulation.oracle.violation import Violation

Rule = Callable[[History], Iterator[Violation]]

RULES: Final[tuple[Rule, ...]] = (
    writes.unasked_write,
    writes.protected_write,
    writes.foreign_write,
    writes.stopped_but_wrote,
    writes.asked_before_a_wait,
    writes.wrote_after_refusal,
    writes.trip_lost,
    writes.delete_while_open,
    writes.deleted_twice,
    messages.request_ignored,
    messages.request_vanished,
    messages.left_over,
    messages.message_lost,
    messages.claimed_twice,
    messages.generation_fell,
    messages.redriven_early,
    messages.poisoned_good_message,
    messages.junk_vanished,
    ends.unended,
    ends.live_without_request,
    ends.ended_late,
    ends.untrue_deleted,
    ends.gone_but_not_deleted,
    ends.hasty_stuck,
    ends.untrue_stuck,
    ends.untrue_refusal,
    dry_runs.dry_run_wrote,
    dry_runs.dry_run_lost,
    traffic.retry_after_ignored,
    traffic.over_limit,
    traffic.storm,
    traffic.repeated_call,
    traffic.too_many_looks,
    traffic.too_many_sign_ins,
    traffic.busy_storage,
    runs.crash,
    runs.hung,
)

# What has broken one of these stays a violation, whatever follows.
AT_EVERY_MOMENT: Final[tuple[Rule, ...]] = (
    writes.unasked_write,
    writes.protected_write,
    writes.foreign_write,
    writes.stopped_but_wrote,
    writes.wrote_after_refusal,
    writes.delete_while_open,
    writes.deleted_twice,
    ends.live_without_request,
    ends.untrue_deleted,
    dry_runs.dry_run_wrote,
)
