"""Mistakes to plant in the app, so that the simulation proves that it sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.simulation.process import Replacement


@dataclass(frozen=True, slots=True)
class Mistake:
    """A patch of the app's sources by module, the rule that tells it, and a seed that shows it."""

    what: str
    replacements: Mapping[str, Replacement]
    rules: frozenset[str]
    seed: int | None = None


def _one(module: str, old: str, new: str) -> Mapping[str, Replacement]:
    return {module: ((old, new),)}


_DELETION: Final = "shared.deletion.deletion"
_CLAIMS: Final = "shared.deletion.claims"
_STEPS: Final = "shared.deletion.steps"
_ERRORS: Final = "shared.deletion.error_handling"
_RAISED: Final = (
    "                next_check_at=self.now() + delay,\n            )\n        )\n\n    def delay("
)
_RAISED_THEN_SENT: Final = _RAISED.replace(
    "\n\n    def", "\n        self.queues.send(queue, message.to_json(), delay)\n\n    def"
)
_FIRST_STEP_ONLY: Final = """
def _FIRST_STEP_ONLY(services, client, tenant, step):
    if step == "cancel_orders":
        return services.safety.require_customer(client, tenant)
    return client.customer(tenant)


"""

PLANTED: Final[Mapping[str, Mistake]] = {
    "generation-first": Mistake(
        "the generation is raised before the message is sent",
        {
            _DELETION: (
                ("        self.queues.send(queue, message.to_json(), delay)\n", ""),
                (_RAISED, _RAISED_THEN_SENT),
            )
        },
        frozenset({"message_lost"}),
        seed=1,
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
        seed=3,
    ),
    "lost-response": Mistake(
        "a save whose response was lost is taken for somebody else's change",
        _one(
            "shared.storage.records",
            '        mine = stored.get("writeId") == entity["writeId"]\n',
            '        mine = not stored.get("writeId", True)\n',
        ),
        frozenset({"message_lost"}),
        seed=6,
    ),
    "no-claim": Mistake(
        "a message does not check whether another works on its generation",
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
        seed=22,
    ),
    "trip-in-memory": Mistake(
        "a trip stays in the memory of its process",
        _one(
            "shared.safety.switch",
            "        self._store.write(state)\n",
            "        if not state.tripped:\n            self._store.write(state)\n",
        ),
        frozenset({"stopped_but_wrote"}),
        seed=1,
    ),
    "delete-unseen": Mistake(
        "the DELETE follows the cancellations without another look",
        _one(_STEPS, "    if plan.clear:\n", "    if not plan.open:\n"),
        frozenset({"delete_while_open"}),
        seed=1,
    ),
    "no-retry-after": Mistake(
        "Retry-After is ignored",
        {
            _ERRORS: (
                ("error.response.retry_after if isinstance(error, ErrorStatus) else None", "None"),
            ),
            "shared.partner_center.rate_limit": (
                (
                    "self._paused_until = max(self._paused_until, self._monotonic() + seconds)",
                    "self._paused_until = max(self._paused_until, self._monotonic())",
                ),
            ),
        },
        frozenset({"retry_after_ignored"}),
        seed=14,
    ),
    "dropped-after-failed-save": Mistake(
        "the message is dropped after a failed save",
        _one(
            _ERRORS,
            "        _note_failure(deletion, step, error)\n        raise\n",
            "        _note_failure(deletion, step, error)\n",
        ),
        frozenset({"message_lost"}),
        seed=3,
    ),
    "no-grace": Mistake(
        "redrive knows no grace",
        _one(
            "shared.deletion.redrive",
            "GRACE: Final = timedelta(minutes=15)",
            "GRACE: Final = timedelta(0)",
        ),
        frozenset({"redriven_early"}),
        seed=1,
    ),
    "abort-unseen": Mistake(
        "an abort is not looked at between two PATCHes",
        _one(
            _DELETION,
            "        return not overtaken and not self.switch.read().tripped\n",
            "        return not self.switch.read().tripped or overtaken\n",
        ),
        frozenset({"stopped_but_wrote"}),
        seed=12,
    ),
    "switch-unasked": Mistake(
        "the switch is not asked before a PATCH",
        _one(
            _DELETION,
            "        return not overtaken and not self.switch.read().tripped\n",
            "        return not overtaken\n",
        ),
        frozenset({"stopped_but_wrote"}),
        seed=276,
    ),
    "protection-once": Mistake(
        "protection is checked in the first step only",
        {
            _STEPS: (
                (
                    "customer = services.safety.require_customer(client, record.tenant)",
                    "customer = client.customer(record.tenant)",
                ),
                (
                    "services.safety.require_customer(client, deletion.record.tenant)",
                    "_FIRST_STEP_ONLY(services, client, deletion.record.tenant, step)",
                ),
                ("def _decide(", _FIRST_STEP_ONLY + "def _decide("),
            )
        },
        frozenset({"protected_write"}),
        seed=23,
    ),
    "stale-accepted": Mistake(
        "a message of a lower generation is not dropped",
        _one(
            _CLAIMS,
            "if record is None or not record.live or message.generation < record.generation:",
            "if record is None or not record.live:",
        ),
        frozenset({"generation_fell"}),
        seed=1,
    ),
}
