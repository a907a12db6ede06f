"""The switch: a trip is never lost, and a reset lifts only what it was meant for."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.data.tables import UpdateMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.safety.switch import Switch, SwitchChanged, SwitchState, SwitchTripped
from shared.storage.names import SANDBOX_TABLE, SWITCH_ROW
from shared.storage.switch import SwitchRow
from tests.bench import Bench
from tests.switch_table import Wire, switch_behind

HOUR = timedelta(hours=1)
# The fixtures keep every other test from it.
START_WRITING = Switch._start_writing


@pytest.fixture
def other(bench: Bench) -> Switch:
    """Give the switch as another process sees it."""
    return bench.switch_of_another_process()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def switch(bench: Bench, storage: str, wire: Wire) -> Iterator[Switch]:
    """Give the switch of a process whose requests are not repeated."""
    with switch_behind(bench, storage, wire) as switch:
        yield switch


@pytest.fixture
def repeating(bench: Bench, storage: str, wire: Wire) -> Iterator[Switch]:
    """Give the switch of a process whose library repeats a request."""
    with switch_behind(bench, storage, wire, repeats=2) as switch:
        yield switch


def test_it_is_not_tripped_before_anybody_uses_it(switch: Switch) -> None:
    assert switch.read() == SwitchState(tripped=False)


def test_a_trip_and_its_reset_reach_other_processes(switch: Switch, other: Switch) -> None:
    switch.trip("ann", "looks odd")
    seen = other.read()
    assert (seen.tripped, seen.requested_by, seen.reason) == (True, "ann", "looks odd")

    switch.reset("bob", "was nothing")

    assert not other.read().tripped


def test_every_write_changes_the_etag_and_a_read_does_not(switch: Switch, other: Switch) -> None:
    written = [
        switch.trip("ann", "stop"),
        switch.trip("ann", "stop"),
        switch.reset("ann", "go"),
        switch.reset("ann", "go"),
    ]

    assert len({state.etag for state in written}) == len(written)
    assert other.read().etag == switch.read().etag == written[-1].etag


def test_a_trip_that_cannot_be_stored_stops_this_process(switch: Switch, wire: Wire) -> None:
    wire.writes_fail = True
    with pytest.raises(AzureError):
        switch.trip("tipsweep", "403/800019")

    with pytest.raises(AzureError):
        switch.require_untripped()


def test_a_trip_that_could_not_be_stored_is_stored_at_the_next_question(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    trip_in_vain(switch, wire)

    with pytest.raises(SwitchTripped, match="by tipsweep: 403/800019"):
        switch.require_untripped()

    assert other.read().reason == "403/800019"


def test_a_trip_is_written_again_until_it_is_stored(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    trip_in_vain(switch, wire)
    wire.writes_fail = True
    for _ in range(3):
        with pytest.raises(AzureError):
            switch.read()
    assert not other.read().tripped
    wire.writes_fail = False

    stored = switch.read()

    assert stored.tripped
    assert other.read().etag == stored.etag


@pytest.fixture
def in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Switch, "_start_writing", START_WRITING)


def wait_for_writers() -> None:
    for thread in threading.enumerate():
        if thread.name == "trip":
            thread.join()


@pytest.mark.usefixtures("in_background")
def test_a_trip_is_written_in_the_background_until_it_is_stored(
    bench: Bench, storage: str, wire: Wire, other: Switch
) -> None:
    """A process that nobody asks again must not keep its trip to itself."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        wire.writes_fail = len(pauses) < 8

    with switch_behind(bench, storage, wire, sleep=sleep) as switch:
        wire.writes_fail = True
        with pytest.raises(AzureError):
            switch.trip("tipsweep", "403/800019")
        wait_for_writers()

    assert other.read().reason == "403/800019"
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.usefixtures("in_background")
def test_a_trip_in_the_background_does_not_undo_the_reset_of_itself(
    bench: Bench, storage: str, wire: Wire, other: Switch
) -> None:
    """It was stored, but the response was lost."""

    def reset(_: float) -> None:
        other.reset("ann", "looked at it")

    with switch_behind(bench, storage, wire, sleep=reset) as switch:
        lose_response_of_trip(switch, wire)
        wait_for_writers()

    assert not other.read().tripped


@pytest.mark.usefixtures("in_background")
def test_a_second_trip_that_is_not_stored_is_written_in_the_background_too(
    bench: Bench, storage: str, wire: Wire, other: Switch
) -> None:
    with switch_behind(bench, storage, wire, sleep=lambda _: None) as switch:
        for reason in ("first", "second"):
            wire.writes_fail = True
            with pytest.raises(AzureError):
                switch.trip("tipsweep", reason)
            wire.writes_fail = False
            wait_for_writers()

    assert other.read().reason == "second"


def test_a_stored_trip_is_not_written_again(switch: Switch, wire: Wire, other: Switch) -> None:
    trip_in_vain(switch, wire)
    switch.read()
    other.reset("ann", "was nothing")
    wire.writes_fail = True

    assert not switch.read().tripped


def test_a_trip_whose_write_fails_once_is_stored_at_once(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    fail_one_write(wire)

    written = switch.trip("tipsweep", "403/800019")

    assert other.read() == written
    assert switch.unstored is None


def test_a_trip_whose_response_was_lost_once_is_stored_once(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    """Written again, it would undo a reset that came in between."""
    wire.responses_lost = 1
    wire.after_read = lambda: other.reset("ann", "looked at it")

    switch.trip("tipsweep", "403/800019")

    assert not other.read().tripped


def test_a_trip_of_a_process_that_has_ended_is_taken_over(
    bench: Bench, storage: str, switch: Switch, other: Switch
) -> None:
    unstored = trip_of_ended(bench, storage)

    switch.take_over(unstored)

    assert other.read() == switch.read() == unstored


def test_a_trip_that_is_taken_over_in_vain_stops_this_process_until_it_is_stored(
    bench: Bench, storage: str, wire: Wire, switch: Switch, other: Switch
) -> None:
    unstored = trip_of_ended(bench, storage)
    wire.writes_fail = True
    with pytest.raises(AzureError):
        switch.take_over(unstored)
    with pytest.raises(AzureError):
        switch.require_untripped()
    wire.writes_fail = False

    switch.store_own()

    assert other.read() == unstored


def test_a_trip_that_is_taken_over_after_its_reset_stays_reset(
    bench: Bench, storage: str, switch: Switch, other: Switch
) -> None:
    """Its own process has stored it after all."""
    unstored = trip_of_ended(bench, storage)
    other.take_over(unstored)
    other.reset("ann", "was nothing")

    switch.take_over(unstored)

    assert not other.read().tripped


def test_a_process_takes_over_no_trip_that_it_knows_to_be_stored(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    """Its own message came back after others had tripped and reset the switch."""
    trip_in_vain(switch, wire)
    unstored = switch.unstored
    assert unstored
    switch.read()
    other.trip("ann", "another")
    other.reset("ann", "was nothing")

    switch.take_over(unstored)

    assert not other.read().tripped


def test_a_trip_of_this_process_is_not_given_up_for_one_that_it_takes_over(
    bench: Bench, storage: str, switch: Switch, wire: Wire, other: Switch
) -> None:
    unstored = trip_of_ended(bench, storage)
    trip_in_vain(switch, wire, "mine")

    switch.take_over(unstored)

    assert other.read().reason == "mine"


def test_a_trip_that_could_not_be_stored_is_logged(
    switch: Switch, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """Its alert reads the log."""
    caplog.set_level(logging.INFO)

    trip_in_vain(switch, wire)

    assert "switch_tripped requested_by=tipsweep reason=403/800019" in caplog.messages


def test_a_trip_whose_response_was_lost_is_not_repeated_after_its_reset(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    lose_response_of_trip(switch, wire)
    other.reset("ann", "was nothing")

    assert not switch.read().tripped


def test_a_trip_that_could_not_be_stored_is_stored_after_the_reset_of_another(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    other.trip("ann", "looking")
    trip_in_vain(switch, wire)
    other.reset("ann", "looked at mine")

    assert switch.read().reason == "403/800019"
    assert other.read().tripped


def test_of_two_trips_that_cannot_be_stored_the_later_one_is(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    trip_in_vain(switch, wire, "first")
    trip_in_vain(switch, wire, "second")

    switch.read()

    assert other.read().reason == "second"


def test_a_trip_that_is_stored_does_not_hide_a_later_one_that_is_not(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    """Two threads trip it; the write of the second fails while that of the first is under way."""
    wire.before_write = lambda: trip_in_vain(switch, wire, "second")
    switch.trip("tipsweep", "first")
    other.reset("ann", "looked at the first")

    assert switch.read().reason == "second"


def test_while_storage_is_away_nobody_may_write(switch: Switch, wire: Wire) -> None:
    wire.reads_fail = True

    with pytest.raises(AzureError):
        switch.require_untripped()


def test_without_its_table_nobody_may_write(bench: Bench, switch: Switch) -> None:
    """A missing row means that nobody has used the switch; a missing table means nothing."""
    bench.tables.delete_table(SANDBOX_TABLE)

    with pytest.raises(AzureError, match="TableNotFound"):
        switch.require_untripped()
    with pytest.raises(AzureError, match="TableNotFound"):
        switch.reset("ann", "go")


def test_a_row_that_cannot_be_read_lets_nobody_write_until_it_is_written_again(
    bench: Bench, switch: Switch
) -> None:
    switch.trip("ann", "stop")
    row = bench.sandbox.get_entity(bench.simulator.sandbox.tenant_id, SWITCH_ROW)
    del row["tripped"]
    bench.sandbox.upsert_entity(row, UpdateMode.REPLACE)

    with pytest.raises(SwitchTripped, match="cannot be read"):
        switch.require_untripped()

    switch.trip("ann", "the row was odd")
    assert not switch.reset("ann", "was nothing").tripped


@pytest.mark.parametrize("value", ["false", "", 0, "no"])
def test_a_row_that_does_not_plainly_say_untripped_is_tripped(
    bench: Bench, switch: Switch, value: str | int
) -> None:
    switch.trip("ann", "stop")
    row = bench.sandbox.get_entity(bench.simulator.sandbox.tenant_id, SWITCH_ROW)
    bench.sandbox.upsert_entity({**row, "tripped": value}, UpdateMode.REPLACE)

    with pytest.raises(SwitchTripped):
        switch.require_untripped()


def test_a_row_of_an_earlier_version_can_be_read_and_reset(bench: Bench, switch: Switch) -> None:
    switch.trip("ann", "stop")
    row = bench.sandbox.get_entity(bench.simulator.sandbox.tenant_id, SWITCH_ROW)
    del row["tripId"], row["writeId"]
    bench.sandbox.upsert_entity(row, UpdateMode.REPLACE)

    assert switch.read().reason == "stop"
    assert not switch.reset("ann", "go").tripped


def test_a_trip_during_a_read_is_in_its_result(switch: Switch, wire: Wire) -> None:
    """The row from before the trip arrives after it."""
    wire.after_read = lambda: switch.trip("tipsweep", "403/800019")

    assert switch.read().tripped


def test_a_long_reason_does_not_keep_a_trip_from_being_stored(
    switch: Switch, other: Switch
) -> None:
    switch.trip("tipsweep", "x" * 40_000)

    assert other.read().reason == "x" * 4_000


@pytest.mark.parametrize("used", [False, True], ids=["first use", "later"])
def test_a_reset_does_not_lift_a_trip_that_overtakes_it(
    switch: Switch, wire: Wire, other: Switch, *, used: bool
) -> None:
    if used:
        switch.trip("ann", "looking")
    wire.before_write = lambda: other.trip("tipsweep", "403/800019")

    with pytest.raises(SwitchChanged, match="tripped by tipsweep: 403/800019") as raised:
        switch.reset("ann", "looked at mine")

    assert raised.value.state == other.read()
    assert other.read().tripped


def test_of_two_resets_that_cross_one_is_told_of_the_other(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    switch.trip("ann", "looking")
    wire.before_write = lambda: other.reset("bob", "seen")

    with pytest.raises(SwitchChanged, match="reset by bob: seen"):
        switch.reset("ann", "seen")


def test_a_trip_written_after_the_reset_of_another_holds(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    other.trip("ann", "looking")
    wire.before_write = lambda: other.reset("ann", "was nothing")

    switch.trip("tipsweep", "403/800019")

    assert other.read().reason == "403/800019"


def test_a_reset_does_not_lift_a_trip_that_it_has_just_stored(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    """Nobody can have seen it before."""
    other.trip("ann", "looking")
    trip_in_vain(switch, wire)

    with pytest.raises(SwitchChanged, match="403/800019"):
        switch.reset("ann", "looked at mine")
    assert other.read().reason == "403/800019"

    switch.reset("ann", "looked at both")
    assert not other.read().tripped


def test_a_reset_lifts_a_trip_whose_response_was_lost(
    switch: Switch, wire: Wire, other: Switch
) -> None:
    lose_response_of_trip(switch, wire)
    seen = other.read()

    switch.reset("ann", "go", lambda state: state.etag == seen.etag)

    assert not other.read().tripped


def test_a_reset_of_a_state_that_is_not_the_expected_one_writes_nothing(
    switch: Switch, other: Switch
) -> None:
    seen = switch.trip("ann", "looking")
    other.trip("tipsweep", "403/800019")

    with pytest.raises(SwitchChanged, match="403/800019"):
        switch.reset("ann", "looked at mine", lambda state: state.etag == seen.etag)

    assert other.read().tripped


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_no_clock_decides_what_holds(bench: Bench, switch: Switch, ahead: timedelta) -> None:
    """The clock of the other process is an hour off."""
    partner = bench.services.settings.partner_center.tenant_id
    off = Switch(SwitchRow(bench.sandbox, partner), lambda: bench.services.now() + ahead)

    off.reset("ann", "go")
    switch.trip("ann", "stop")
    assert off.read().tripped
    off.reset("ann", "go")
    assert not switch.read().tripped
    off.trip("ann", "stop")
    assert switch.read().tripped
    switch.reset("ann", "go")
    assert not off.read().tripped


@pytest.mark.parametrize("used", [False, True], ids=["first use", "later"])
def test_a_reset_whose_response_was_lost_counts_as_written(
    repeating: Switch, wire: Wire, other: Switch, *, used: bool
) -> None:
    if used:
        repeating.trip("ann", "stop")
    wire.responses_lost = 1

    written = repeating.reset("ann", "go")

    assert wire.responses_lost == 0
    assert other.read() == written
    assert other.read().etag == written.etag


def test_the_same_reset_by_somebody_else_is_not_taken_for_our_own(
    repeating: Switch, wire: Wire, other: Switch
) -> None:
    repeating.trip("ann", "stop")
    wire.before_write = lambda: other.reset("ann", "go")

    with pytest.raises(SwitchChanged):
        repeating.reset("ann", "go")


ACTS = st.sampled_from(["trip", "reset", "read"])
FAULTS = st.sampled_from([None, None, "reads_fail", "writes_fail", "responses_lost"])


class Witness:
    """Counts trips, and how many of them a reset that began later may have lifted."""

    def __init__(self) -> None:
        self.trips = 0
        self.lifted = 0
        self.last_of: dict[Switch, int] = {}

    def act(self, switch: Switch, act: str | None) -> None:
        made = self.trips
        try:
            if act == "trip":
                self.trips += 1
                self.last_of[switch] = self.trips
                switch.trip("ann", "stop")
            elif act == "reset":
                switch.reset("ann", "go")
                self.lifted = max(self.lifted, made)
            elif act == "read":
                assert switch.read().tripped or self.last_of.get(switch, 0) <= self.lifted
        except SwitchChanged:
            assert act == "reset"
        except AzureError:
            # The reset may have been stored, and its response lost.
            self.lifted = max(self.lifted, made if act == "reset" else 0)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(ACTS, FAULTS, st.none() | ACTS), max_size=10))
def test_whatever_fails_or_crosses_only_a_later_reset_lifts_a_trip(
    bench: Bench, storage: str, acts: list[tuple[str, str | None, str | None]]
) -> None:
    """One process meets the faults; another acts during its writes."""
    bench.sandbox.delete_entity(bench.simulator.sandbox.tenant_id, SWITCH_ROW)
    wire, witness, other = Wire(), Witness(), bench.switch_of_another_process()
    with switch_behind(bench, storage, wire) as switch:
        for act, fault, meanwhile in acts:
            wire.reads_fail = fault == "reads_fail"
            wire.writes_fail = fault == "writes_fail"
            wire.responses_lost = int(fault == "responses_lost")
            wire.before_write = partial(witness.act, other, meanwhile)
            witness.act(switch, act)
        wire.reads_fail = wire.writes_fail = False
        wire.responses_lost, wire.before_write = 0, None

        assert switch.read().tripped or witness.trips <= witness.lifted
        assert other.read() == switch.read()
        switch.reset("ann", "looked at all of them")
        assert not other.read().tripped
        assert not switch.read().tripped


def fail_one_write(wire: Wire) -> None:
    def fail() -> None:
        message = "storage took no write"
        raise ServiceRequestError(message)

    wire.before_write = fail


def lose_response_of_trip(switch: Switch, wire: Wire) -> None:
    """Trip the switch; it is stored, but nobody can tell this process so."""
    wire.responses_lost, wire.reads_fail = 1, True
    with pytest.raises(AzureError):
        switch.trip("tipsweep", "403/800019")
    wire.reads_fail = False


def trip_of_ended(bench: Bench, storage: str) -> SwitchState:
    """Return the trip that a process could not store before it ended."""
    wire = Wire()
    with switch_behind(bench, storage, wire) as ended:
        trip_in_vain(ended, wire)
        assert ended.unstored
        return ended.unstored


def trip_in_vain(switch: Switch, wire: Wire, reason: str = "403/800019") -> None:
    """Trip the switch while storage takes no writes."""
    wire.writes_fail = True
    with pytest.raises(AzureError):
        switch.trip("tipsweep", reason)
    wire.writes_fail = False
