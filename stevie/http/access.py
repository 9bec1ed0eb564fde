"""Access: who may change something, and by which routes.

A route that says nothing is GATED, and so is one that nobody listed: what takes POST, PUT, PATCH or
DELETE wants the token unless it was declared to change nothing. Asked after routing, so that a
path has no second spelling; asked by the method as received, which no header overrides.
"""

import hmac
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256

import falcon
import structlog

from stevie.http.encoding import excerpt
from stevie.http.gate import SAFE_METHODS
from stevie.http.problems import Problem
from stevie.http.rate import (
    CHANGES_PER_S,
    CLIENTS_MAX,
    EdgeCounter,
    Limit,
    address,
    burst_of,
    client,
    too_many,
)
from stevie.runtime.clock import Clock
from stevie.runtime.counters import Counters

FAILURES_PER_S = 0.2  # of one client: 17,000 guesses a day
FAILURES_BURST = 10  # a person who looks for the right token does not need more
CHALLENGE = 'Bearer realm="stevie"'

_DEV_ONLY = "The prod profile has no such route."
_CLOSED = "In the prod profile nothing is changed until http.admin_token is set."
_NOT_LOCAL = "Until http.admin_token is set, only this machine itself changes anything."
_MISSING = "This wants `Authorization: Bearer` and the token of http.admin_token."
_WRONG = "That is not the token of http.admin_token."

log = structlog.get_logger("stevie.http")


class Access(Enum):
    """What a route asks of its callers."""

    sentence: str

    GATED = "gated", "Reads are open; all other methods want the token."
    SAFE_POST = "safe_post", "Its POST asks a question and changes nothing: open as reads are."
    DEV_ONLY = "dev_only", "Every method wants the token, and the prod profile has no such route."

    def __new__(cls, value: str, sentence: str) -> "Access":
        """An access is its word; the sentence comes with it."""
        access = object.__new__(cls)
        access._value_ = value
        access.sentence = sentence
        return access

    def wants_token(self, method: str) -> bool:
        """Whether this method may change something here."""
        if self is Access.DEV_ONLY:
            return True
        is_question = self is Access.SAFE_POST and method == "POST"
        return method not in SAFE_METHODS and not is_question


class Standing(Enum):
    """How the gate stands: the word for the log, and what it means."""

    OPEN = "open to this machine: the dev profile, and no http.admin_token"
    GUARDED = "open to those who have http.admin_token"
    CLOSED = "closed: the prod profile, and no http.admin_token"


class Token:
    """The admin token as its hash: nothing that holds one can show the token."""

    __slots__ = ("_digest",)

    def __init__(self, text: str = "") -> None:
        self._digest = _digest(text) if text else b""

    def matches(self, given: str) -> bool:
        """Whether this is the token; takes as long whatever was given."""
        return bool(self) and hmac.compare_digest(self._digest, _digest(given))

    def __bool__(self) -> bool:
        return bool(self._digest)

    def __repr__(self) -> str:
        return "Token(***)" if self else "Token(not set)"


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogatepass")).digest()


def standing(token: Token, profile: str) -> Standing:
    """How a gate with this token stands in this profile."""
    if token:
        return Standing.GUARDED
    return Standing.OPEN if profile == "dev" else Standing.CLOSED


class AccessGate:
    """Falcon middleware between router and route."""

    def __init__(
        self,
        routes: Mapping[str, Access],
        *,
        token: Token,
        profile: str,
        clock: Clock,
        counters: Counters,
        changes_per_s: float = CHANGES_PER_S,
    ) -> None:
        self._routes = dict(routes)
        self._token = token
        self._is_prod = profile == "prod"
        self._standing = standing(token, profile)
        self._now_ns = clock.monotonic_ns
        self._counters = counters
        self._changes = Limit(
            per_s=changes_per_s, burst=burst_of(changes_per_s), keys_max=CLIENTS_MAX
        )
        self._failures = Limit(per_s=FAILURES_PER_S, burst=FAILURES_BURST, keys_max=CLIENTS_MAX)

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _params: object
    ) -> None:
        """401, 403 or 429, unless this caller may do this here."""
        access = self._routes.get(req.uri_template or "", Access.GATED)
        if access is Access.DEV_ONLY and self._is_prod:
            raise self._refusal("dev_only", Problem(403, "Only in the dev profile", _DEV_ONLY))
        if access.wants_token(req.method):
            self._bound_changes(req)
            self._admit(req)

    def _bound_changes(self, req: falcon.Request) -> None:
        if wait_ns := self._changes.take(self._now_ns(), client(req)):
            raise self._refusal("change_rate", too_many("More changes than one may ask", wait_ns))

    def _admit(self, req: falcon.Request) -> None:
        if self._standing is Standing.GUARDED:
            self._check_token(req)
        elif self._standing is Standing.CLOSED:
            raise self._refusal("closed", Problem(403, "No token is configured", _CLOSED))
        elif not _is_on_this_machine(req):
            raise self._refusal("not_local", Problem(403, "No token is configured", _NOT_LOCAL))

    def _check_token(self, req: falcon.Request) -> None:
        given = _bearer(req)
        if given is None:
            raise self._refusal("token_missing", _unauthorized(_MISSING, CHALLENGE))
        # Before it is compared: beyond the bound not even the right token is told from a wrong one.
        if wait_ns := self._failures.wait_ns(self._now_ns(), client(req)):
            raise self._refusal("failure_rate", too_many("Too many wrong tokens", wait_ns))
        if not self._token.matches(given):
            self._failures.take(self._now_ns(), client(req))
            log.warning("token_wrong", client=client(req), method=req.method, path=_path(req))
            challenge = f'{CHALLENGE}, error="invalid_token"'
            raise self._refusal("token_wrong", _unauthorized(_WRONG, challenge))

    def _refusal(self, reason: str, problem: Problem) -> Problem:
        self._counters.add(EdgeCounter.REFUSED, reason)
        return problem


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(401, "Not authorized", detail, headers={"WWW-Authenticate": challenge})


def _is_on_this_machine(req: falcon.Request) -> bool:
    found = address(req)
    return found is not None and found.is_loopback


def _bearer(req: falcon.Request) -> str | None:
    """The token that came with it, None if there is none."""
    scheme, _, given = req.env.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    # WSGI gives the bytes of a header as Latin-1.
    text: str = given.strip().encode("latin-1", "replace").decode(errors="surrogateescape")
    return text if scheme.lower() == "bearer" and text else None


def _path(req: falcon.Request) -> str:
    return excerpt(req.path)
