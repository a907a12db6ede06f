"""The switch: a trip holds until something newer lifts it."""

from shared.safety.switch import Switch
from tests.bench import Bench


def another_process(bench: Bench) -> Switch:
    return bench.switch_of_another_process()


def test_it_is_not_tripped_before_anybody_uses_it(bench: Bench) -> None:
    assert not bench.services.switch.read().tripped


def test_a_trip_and_its_reset_reach_other_processes(bench: Bench) -> None:
    other = another_process(bench)
    bench.services.switch.trip("ann", "looks odd")
    seen = other.read()
    assert (seen.tripped, seen.requested_by, seen.reason) == (True, "ann", "looks odd")

    bench.services.switch.reset("bob", "was nothing")

    assert not other.read().tripped


def test_a_read_that_was_under_way_does_not_lift_a_trip(bench: Bench) -> None:
    """The row from before the trip arrives after it."""
    switch = bench.services.switch
    switch.reset("ann", "start")
    before = switch.read()
    switch.trip("tipsweep", "403/800019")

    switch._remember(before)
    bench.remove_switch()

    assert switch.read().tripped


def test_a_trip_that_could_not_be_written_still_stops_this_process(bench: Bench) -> None:
    switch = bench.services.switch
    switch.trip("tipsweep", "403/800019")
    bench.remove_switch()

    assert switch.read().tripped
