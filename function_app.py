"""The function app: all blueprints of tipsweep."""

import logging

import azure.functions as func

from functions import (
    cancel_orders,
    check_orders,
    delete_customer,
    record_poison,
    redrive,
    run_requested_sweep,
    sweep_sandbox,
)
from functions.api import deletions, health, history, openapi, requests, sandbox, switch, version
from functions.api.principal import http_auth_level
from functions.pages import status
from shared.versions import log_start

# They log every request to storage, which would bury our own lines.
for noisy in ("azure", "urllib3"):
    logging.getLogger(noisy).setLevel(logging.WARNING)

log_start()

app = func.FunctionApp(http_auth_level=http_auth_level())
app.register_functions(cancel_orders.blueprint)
app.register_functions(check_orders.blueprint)
app.register_functions(delete_customer.blueprint)
app.register_functions(record_poison.blueprint)
app.register_functions(redrive.blueprint)
app.register_functions(sweep_sandbox.blueprint)
app.register_functions(run_requested_sweep.blueprint)
app.register_functions(deletions.blueprint)
app.register_functions(history.blueprint)
app.register_functions(requests.blueprint)
app.register_functions(sandbox.blueprint)
app.register_functions(switch.blueprint)
app.register_functions(status.blueprint)
app.register_functions(openapi.blueprint)
app.register_functions(version.blueprint)
app.register_functions(health.blueprint)
