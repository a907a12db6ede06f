"""The names of queues, tables and rows, which the infrastructure and every caller rely on."""

from typing import Final

CUSTOMERS_TO_DELETE: Final = "customers-to-delete"
ORDERS_TO_CHECK: Final = "orders-to-check"
CUSTOMERS_READY: Final = "customers-ready"
SWEEPS_TO_RUN: Final = "sweeps-to-run"
POISON_SUFFIX: Final = "-poison"

DELETION_QUEUES: Final = (CUSTOMERS_TO_DELETE, ORDERS_TO_CHECK, CUSTOMERS_READY)
QUEUES: Final = (*DELETION_QUEUES, SWEEPS_TO_RUN)
POISON_QUEUES: Final = tuple(queue + POISON_SUFFIX for queue in QUEUES)

DELETIONS_TABLE: Final = "deletions"
SANDBOX_TABLE: Final = "sandbox"
HISTORY_TABLE: Final = "history"
TABLES: Final = (DELETIONS_TABLE, SANDBOX_TABLE, HISTORY_TABLE)

OWNER_PARTITION: Final = "tipsweep"
OWNER_ROW: Final = "owner"
SWITCH_ROW: Final = "switch"
BUDGET_ROW: Final = "budget"
SWEEP_REPORT_ROW: Final = "sweep"
SWEEP_RUN_ROW_PREFIX: Final = "sweep-"
REJECTED_ROW_PREFIX: Final = "rejected-"
PLAN_ROW_PREFIX: Final = "plan-"
SEEN_ROW_PREFIX: Final = "seen-"

# Table storage holds 32,768 characters in a property.
PROPERTY_CHARACTERS: Final = 32_000
