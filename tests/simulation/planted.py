"""Mistakes to plant in the app, to prove that the simulation finds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.simulation.process import Replacement


@dataclass(frozen=True, slots=True)
class Mistake:
    """Patches of the app's sources by module, the rules that show the mistake, and a seed."""

    what: str
    replacements: Mapping[str, Replacement]
    rules: frozenset[str]
    seed: int | None = None


def _one(module: str, old: str, new: str) -> Mapping[str, Replacement]:
    return {module: ((old, new),)}


def _send(record: str) -> str:
    return f"        self.queues.send(queue, first_message({record}).to_json(), delay)\n"


_DELETION: Final = "shared.deletion.deletion"
_CLAIMS: Final = "shared.deletion.claims"
_STEPS: Final = "shared.deletion.steps"
_ERRORS: Final = "shared.deletion.error_handling"
_SEND_MESSAGE: Final = (
    "        self.queues.send(queue, message.carrying(self.switch.unstored), delay)\n"
)
_SEND_AGAIN: Final = "        self.save(self._sent(queue, delay, changed or self.record))\n"
_SAVE_RAISED: Final = (
    "            self.save(raised)\n"
    "        except AzureError as error:\n"
    "            if not is_outage(error):\n"
    "                raise\n"
)
_CHECK_FOR_ABORT: Final = "        if self.records.etag(self.record.tenant) != self.record.etag:\n"
_FIRST_STEP_ONLY: Final = """
def _FIRST_STEP_ONLY(services, client, record):
    if not record.seen:
        return services.safety.require_customer(client, record.tenant)
    return client.customer(record.tenant)


"""

PLANTED: Final[Mapping[str, Mistake]] = {
    "generation-first": Mistake(
        "the generation is raised before the message is sent",
        {
            _DELETION: (
                (_SEND_MESSAGE, ""),
                (_SEND_AGAIN, _SEND_AGAIN + _send("self.record")),
                (_SAVE_RAISED, _SAVE_RAISED + _send("raised")),
            )
        },
        frozenset({"message_lost"}),
        seed=21,
    ),
    "no-etag": Mistake(
        "the ETag is not sent with a change of a record",
        _one(
            "shared.storage.records",
            "                etag=record.etag,\n"
            "                match_condition=MatchConditions.IfNotModified,\n"
            '            )["etag"]\n        except (ResourceModifiedError',
            '            )["etag"]\n        except (ResourceModifiedError',
        ),
        frozenset({"live_without_request", "stopped_but_wrote", "claimed_twice"}),
        seed=9,
    ),
    "lost-response": Mistake(
        "a save whose response was lost is mistaken for a change by somebody else",
        _one(
            "shared.storage.records",
            'stored is None or stored.get("writeId") != entity["writeId"]:\n',
            'stored is None or stored.get("writeId", True):\n',
        ),
        frozenset({"message_lost"}),
        seed=45,
    ),
    "no-claim": Mistake(
        "a message does not check whether another one works on its generation",
        _one(
            _CLAIMS,
            "    return Claim.DUPLICATE if taken else Claim.CONTINUE\n",
            "    return Claim.CONTINUE if taken else Claim.CONTINUE\n",
        ),
        frozenset({"claimed_twice"}),
        seed=3,
    ),
    "rejected-live": Mistake(
        "a rejected message leaves a live record until a second write",
        _one(
            "shared.deletion.poison",
            "    update = services.records.update(tenant, change)\n",
            "    if services.records.get(tenant) is None:\n"
            "        fresh = started(DeletionRequest(tenant), None, now=now, deadline=deadline)\n"
            "        record = services.records.insert(fresh)\n"
            "        services.records.replace(ended(record, state, reason, _REMEDY, now))\n"
            "        return\n"
            "    update = services.records.update(tenant, change)\n",
        ),
        frozenset({"live_without_request", "unasked_write"}),
        seed=71,
    ),
    "trip-in-memory": Mistake(
        "a trip is never stored and stays in the memory of its process",
        _one(
            "shared.safety.switch",
            "        written = self._store.write(trip)\n"
            "        self._note_stored(trip)\n"
            "        return written\n",
            "        return trip\n",
        ),
        frozenset({"stopped_but_wrote"}),
        seed=37,
    ),
    "delete-unseen": Mistake(
        "the DELETE follows the cancellations without another read",
        _one(_STEPS, "    if plan.clear:\n", "    if not plan.open:\n"),
        frozenset({"delete_while_open"}),
        seed=0,
    ),
    "no-retry-after": Mistake(
        "Retry-After is ignored",
        {
            _ERRORS: (("    return deletion.delay(seconds)\n", "    return deletion.delay()\n"),),
            _STEPS: (("deletion.delay(error.retry_after)", "deletion.delay()"),),
            "shared.storage.budget": (
                (
                    "max(self._paused_until, self._monotonic() + seconds)",
                    "self._paused_until",
                ),
            ),
        },
        frozenset({"retry_after_ignored"}),
        seed=150,
    ),
    "dropped-after-failed-save": Mistake(
        "the message is dropped after a failed save",
        _one(
            _ERRORS,
            "        _note_failure(deletion, step, error)\n        raise\n",
            "        _note_failure(deletion, step, error)\n",
        ),
        frozenset({"message_lost"}),
        seed=94,
    ),
    "no-grace": Mistake(
        "redrive has no grace period",
        _one(
            "shared.deletion.redrive",
            "GRACE: Final = timedelta(minutes=15)",
            "GRACE: Final = timedelta(0)",
        ),
        frozenset({"redriven_early"}),
        seed=0,
    ),
    "abort-unseen": Mistake(
        "the gate does not check for an abort",
        _one(_DELETION, _CHECK_FOR_ABORT, "        if not self.record.etag:\n"),
        frozenset({"stopped_but_wrote"}),
        seed=89,
    ),
    "switch-unasked": Mistake(
        "the gate does not check the switch",
        _one(_DELETION, "        self.switch.require_untripped()\n", ""),
        frozenset({"stopped_but_wrote"}),
        seed=57,
    ),
    "protection-once": Mistake(
        "protection is only checked in the first step",
        {
            _STEPS: (
                (
                    "services.safety.require_customer(client, tenant, seen=seen)",
                    "_FIRST_STEP_ONLY(services, client, deletion.record)",
                ),
                ("def _decide(", _FIRST_STEP_ONLY + "def _decide("),
            )
        },
        frozenset({"protected_write"}),
        seed=52,
    ),
    "stale-accepted": Mistake(
        "a message of a lower generation is not dropped",
        _one(
            _CLAIMS,
            "if record is None or not record.live or message.generation < record.generation:",
            "if record is None or not record.live:",
        ),
        frozenset({"generation_fell"}),
        seed=0,
    ),
    "stuck-for-anything": Mistake(
        "the reason of a stuck record calls everything never cancellable",
        _one(
            "shared.deletion.reasons",
            'return f"{error}; never cancellable: {_listed(plan.never)}"\n',
            'return f"{error}; never cancellable: {_listed(plan.entries)}"\n',
        ),
        frozenset({"untrue_stuck"}),
        seed=1,
    ),
    "deadline-ignored": Mistake(
        "a deletion never ends for lateness",
        _one(
            _DELETION,
            "return self.now() >= deadline and bool(looked_at and",
            "return self.now() < deadline and bool(looked_at and",
        ),
        frozenset({"unended", "ended_late"}),
        seed=3,
    ),
    "dry-run-goes-on": Mistake(
        "a dry run starts a deletion afterwards",
        _one(
            _STEPS,
            "        run_dry(services, request, delivery)\n        return\n",
            "        run_dry(services, request, delivery)\n",
        ),
        frozenset({"dry_run_wrote"}),
        seed=4,
    ),
    "dry-run-forgotten": Mistake(
        "the result of a dry run is not stored",
        _one(
            "shared.deletion.dry_run",
            "    services.plans.keep(result.tenant, result.to_json(), result.made_at)\n",
            "",
        ),
        frozenset({"dry_run_lost"}),
        seed=4,
    ),
    "read-loop": Mistake(
        "each look reads the orders over and over",
        _one(
            "shared.purchases.snapshot",
            "    orders = client.orders(tenant)\n    subscriptions",
            "    orders = [client.orders(tenant) for _ in range(5)][-1]\n    subscriptions",
        ),
        frozenset({"repeated_call"}),
        seed=0,
    ),
    "token-not-kept": Mistake(
        "each call signs in again",
        _one(
            "shared.partner_center.credentials",
            "        kept = self._token\n        if kept is not None and kept.expires_on",
            "        kept = self._credential = None\n"
            "        if kept is not None and kept.expires_on",
        ),
        frozenset({"too_many_sign_ins"}),
        seed=0,
    ),
    "refusal-without-trip": Mistake(
        "a response that the account is not a sandbox trips no switch",
        _one("shared.safety.rules", "            self._switch.trip(BY_ITSELF, str(error))\n", ""),
        frozenset({"trip_lost", "wrote_after_refusal"}),
        seed=4,
    ),
    "delay-constant": Mistake(
        "the delay between two looks does not grow",
        _one(_DELETION, "_GROWTH: Final = 1.5", "_GROWTH: Final = 1.0"),
        frozenset({"too_many_looks"}),
        seed=3,
    ),
    "busy-is-final": Mistake(
        "a purchase that is busy is taken for one that can never be cancelled",
        _one(
            "shared.purchases.cancellation",
            "        case Busy() | AzureSubscriptionsActive():\n            return purchase\n",
            "        case Busy() | AzureSubscriptionsActive():\n"
            "            return _rejected(purchase, action, error)\n",
        ),
        frozenset({"delete_while_open", "hasty_stuck", "untrue_stuck"}),
        seed=165,
    ),
    "drop-given-up": Mistake(
        "a good drop in the poison queue is given up at once",
        _one(
            "shared.deletion.put_back",
            "    if late and parcel.last_try:\n",
            "    if not parcel.last_try:\n",
        ),
        frozenset({"poisoned_good_message", "hasty_stuck"}),
        seed=24,
    ),
    "drop-forgotten": Mistake(
        "a drop in the poison queue is not put back",
        _one(
            "shared.deletion.put_back",
            "    put_back_as_it_is(services.queues, CUSTOMERS_TO_DELETE, again)\n"
            "    emit(Event.MESSAGE_PUT_BACK",
            "    emit(Event.MESSAGE_PUT_BACK",
        ),
        frozenset({"request_vanished"}),
        seed=24,
    ),
}
