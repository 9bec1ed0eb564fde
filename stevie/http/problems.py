"""Every error that leaves the edge: `{"status", "title", "detail", "allowed"?, ...}`."""

from collections.abc import Callable, Mapping, Sequence

import falcon
import msgspec
import structlog

from stevie.actors.market_data import UnknownSymbolError
from stevie.http.encoding import excerpt, to_json
from stevie.runtime.clock import Clock
from stevie.runtime.errors import ActorCrashed, ActorDeadError, AskTimeout, MailboxFull

RETRY_AFTER_S = 1  # a restart or a resync takes about that long

log = structlog.get_logger("stevie.http")


class Problem(falcon.HTTPError):
    """An answer that is an error, with whatever facts help its reader."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        allowed: Sequence[object] | None = None,
        facts: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, title=title, description=detail, headers=dict(headers or {}))
        self.facts = dict(facts or {})
        if allowed is not None:
            self.facts["allowed"] = list(allowed)


def not_ready(title: str, detail: str, **facts: object) -> Problem:
    """503: ask again."""
    return Problem(
        503,
        title,
        detail,
        facts={**facts, "retry_after_s": RETRY_AFTER_S},
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def write(_req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    """Falcon's error serializer: JSON, whatever the caller says it accepts."""
    problem = error if isinstance(error, Problem) else _titled(error)
    resp.content_type = falcon.MEDIA_JSON
    resp.text = to_json(
        {
            "status": problem.status_code,
            "title": problem.title,
            "detail": problem.description,
            **problem.facts,
        }
    )


def _titled(error: falcon.HTTPError) -> Problem:
    """What Falcon raises by itself, told as we do."""
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        methods = dict(error.headers or {}).get("Allow", "").split(", ")
        detail = "This route does not take that method."
        return Problem(405, "Method not allowed", detail, allowed=methods)
    detail = error.description or "The request could not be read."
    return Problem(error.status_code, error.title, detail)


App = falcon.App[falcon.Request, falcon.Response]


class ErrorTable:
    """What each exception means to the caller; Falcon takes the nearest class."""

    def __init__(self, clock: Clock, routes: Sequence[str]) -> None:
        self._clock = clock
        self._routes = tuple(routes)

    def register(self, app: App) -> None:
        """Make it the app's."""
        app.set_error_serializer(write)
        for meaning, *errors in (
            (self._no_route, falcon.HTTPRouteNotFound),
            (self._malformed, msgspec.DecodeError),
            (self._broken_contract, msgspec.ValidationError),
            (self._no_answer, MailboxFull, AskTimeout, ActorDeadError),
            (self._unheard, UnknownSymbolError),
            (self._crash, ActorCrashed),
            (self._bug, Exception),
        ):
            app.add_error_handler(errors, _raising(meaning))

    def _no_route(self, req: falcon.Request, _error: Exception) -> Problem:
        detail = f"Nothing is served at {excerpt(req.path)}."
        return Problem(404, "Unknown route", detail, allowed=self._routes)

    def _malformed(self, _req: falcon.Request, error: Exception) -> Problem:
        return Problem(400, "Malformed body", f"Expected JSON: {error}.")

    def _broken_contract(self, _req: falcon.Request, error: Exception) -> Problem:
        return Problem(422, "Body breaks the contract", f"{error}.")

    def _no_answer(self, _req: falcon.Request, error: Exception) -> Problem:
        return not_ready("Not ready", f"{error}.")

    def _unheard(self, _req: falcon.Request, error: Exception) -> Problem:
        return not_ready("Not ready", f"No book of {error} was heard of yet.")

    def _crash(self, req: falcon.Request, error: Exception) -> Problem:
        incident = self._report("actor_crashed_on_request", req, error)
        detail = "The actor that was asked ended, and is being restarted."
        return not_ready("Not ready", detail, incident=incident)

    def _bug(self, req: falcon.Request, error: Exception) -> Problem:
        incident = self._report("request_failed", req, error)
        detail = f"A fault of Stevie's own; the log tells more under {incident}."
        return Problem(500, "Internal error", detail, facts={"incident": incident})

    def _report(self, event: str, req: falcon.Request, error: Exception) -> str:
        # Microseconds in 8 hex digits: unique within an hour, and short enough to be read out.
        incident = f"{self._clock.wall_ns() // 1000 & 0xFFFFFFFF:08x}"
        log.error(
            event, incident=incident, method=req.method, path=excerpt(req.path), exc_info=error
        )
        return incident


Meaning = Callable[[falcon.Request, Exception], Problem]


def _raising(meaning: Meaning) -> Callable[..., None]:
    def handle(req: falcon.Request, _resp: object, error: Exception, _params: object) -> None:
        raise meaning(req, error)

    return handle
