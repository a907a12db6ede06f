"""What wraps each HTTP function: who may call it, and which response an error becomes."""

import functools
from collections.abc import Callable

import azure.functions as func
from azure.core.exceptions import AzureError

from functions.api.principal import require_principal
from functions.api.problems import Problem, problem_of
from functions.api.responses import problem_response
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.services import current_services

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def guarded(handler: Handler) -> Handler:
    """Turn known errors into problem documents; any other error reaches the host."""

    @functools.wraps(handler)
    def respond(req: func.HttpRequest) -> func.HttpResponse:
        try:
            require_principal(req, current_services().settings.http)
            return handler(req)
        except (TipsweepError, AzureError) as error:
            return problem_response(logged_problem(error))

    return respond


def logged_problem(error: TipsweepError | AzureError) -> Problem:
    """Log an error and return the problem that it is to the caller; re-raises one that is none."""
    problem = problem_of(error)
    emit(
        Event.REQUEST_FAILED,
        problem=problem.type.name,
        correlation=problem.correlation_id,
        reason=f"{type(error).__name__}: {error}",
    )
    return problem
