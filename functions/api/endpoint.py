"""What wraps each HTTP function: the role that it needs, and the response that an error becomes."""

import functools
from collections.abc import Callable

import azure.functions as func
from azure.core.exceptions import AzureError

from functions.api.principal import Caller, Role, caller_in
from functions.api.problems import Problem, problem_of
from functions.api.responses import problem_response
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.services import built_services

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def guarded(needed: Role) -> Callable[[Handler], Handler]:
    """Let callers in this role in, and turn known errors into problem documents.

    Any other error reaches the host.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def respond(req: func.HttpRequest) -> func.HttpResponse:
            try:
                caller_of(req, needed)
                return handler(req)
            except (TipsweepError, AzureError) as error:
                return problem_response(logged_problem(error))

        return respond

    return wrap


def caller_of(req: func.HttpRequest, needed: Role = Role.READER) -> Caller:
    """Return who calls; raises NoPrincipal, NoRole or SettingsError."""
    return caller_in(req, built_services().settings.http, needed)


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
