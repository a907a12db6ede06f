"""The function app: all blueprints of tipsweep."""

import logging

import azure.functions as func

from functions import (
    cancel_orders,
    check_orders,
    delete_customer,
    record_poison,
    redrive,
    sweep_sandbox,
)

logging.getLogger("azure").setLevel(logging.WARNING)

app = func.FunctionApp()
app.register_functions(cancel_orders.blueprint)
app.register_functions(check_orders.blueprint)
app.register_functions(delete_customer.blueprint)
app.register_functions(record_poison.blueprint)
app.register_functions(redrive.blueprint)
app.register_functions(sweep_sandbox.blueprint)
