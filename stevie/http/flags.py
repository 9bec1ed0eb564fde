"""GET and POST /api/flags: how the switches stand, and turning one."""

from typing import Any

import falcon

from stevie import rfc3339
from stevie.domain.contracts.catalog import FLAG_IN, FLAG_OUT
from stevie.domain.contracts.flags import FlagRequest
from stevie.domain.operations.flags import NAMES, FlagRefusedError
from stevie.http.edge import Edge
from stevie.http.encoding import excerpt, to_json
from stevie.http.problems import Problem, not_ready
from stevie.http.requests import Resource, check_query
from stevie.messages.record import FlagsState, FlagState, ReadFlags, SetFlag
from stevie.runtime.errors import ActorCrashed, ActorDeadError, AskTimeout
from stevie.runtime.message import Message

FLAGS = "flags"
NOT_CONFIRMED = (
    "The change was asked for, and is not confirmed to be durable. It may still come into force: "
    "GET /api/flags tells."
)


class FlagsResource(Resource):
    """All flags, and the one place to set them."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer with an array of every flag."""
        check_query(req)
        state: FlagsState = self._ask(ReadFlags())
        resp.text = FLAG_OUT.vouched_each(to_json([_document(each) for each in state.flags]))

    def on_post(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Set one flag; answer with it once the change is durable and audited."""
        check_query(req)
        wish = FLAG_IN.read(_body(req))
        if wish.name not in NAMES:
            raise Problem(404, "Unknown flag", f"No flag {excerpt(wish.name)}.", allowed=NAMES)
        resp.text = FLAG_OUT.vouched(to_json(_document(self._set(wish, by=req.remote_addr))))

    def _set(self, wish: FlagRequest, *, by: str) -> FlagState:
        try:
            state: FlagState = self._ask(SetFlag(name=wish.name, value=wish.value, by=by))
        except (AskTimeout, ActorCrashed, ActorDeadError) as error:
            raise not_ready("Not confirmed", NOT_CONFIRMED, is_confirmed=False) from error
        return state

    def _ask(self, message: Message) -> Any:
        try:
            return self._edge.ask(FLAGS, message)
        except FlagRefusedError as refusal:
            raise not_ready("Not ready", f"Nothing was changed: {refusal}.") from refusal


def _body(req: falcon.Request) -> bytes:
    chunked: bytes | None = getattr(req.context, "chunked_body", None)
    return req.bounded_stream.read() if chunked is None else chunked


def _document(flag: FlagState) -> dict[str, object]:
    return {
        "name": flag.name,
        "value": flag.value,
        "default": flag.default,
        "sentence": flag.sentence,
        "changed_at": rfc3339.text(flag.changed_ns) if flag.changed_ns else None,
        "audit_seq": flag.audit_seq or None,
    }
