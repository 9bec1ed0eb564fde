"""GET /healthz: is the process alive? GET /readyz: would it answer well, and if not, why?"""

from collections.abc import Iterator, Mapping
from typing import Any

import falcon

from stevie.domain.market.book import BookState
from stevie.http.edge import AUDITOR, ROOT, STORE, Edge, book_name, feed_name
from stevie.http.encoding import to_json
from stevie.http.problems import RETRY_AFTER_S
from stevie.http.requests import Resource, check_query
from stevie.messages.market import BookRead, FeedState, ReadBook, ReadFeed
from stevie.messages.record import AuditState, ReadAudit, ReadStore, StoreState
from stevie.runtime.lifecycle import State

HUB_LAG_MAX_S = 1.0  # a loop this late serves nobody

Reason = dict[str, object]


class HealthResource(Resource):
    """Alive: the root runs and the loop turns."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer 200 or 503; nobody is asked."""
        check_query(req)
        tree = self._edge.directory.tree()
        root = next((view.state for view in tree if view.name == ROOT), State.DOWN)
        lag_s = self._edge.hub_lag_s()
        is_alive = root is State.RUNNING and lag_s <= HUB_LAG_MAX_S
        facts: Reason = {"root": root.value, "hub_lag_s": lag_s}
        _answer(resp, is_fine=is_alive, word="ok" if is_alive else "failing", facts=facts)


class ReadyResource(Resource):
    """Ready: every actor runs, every feed is connected, every book is LIVE."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer 200, or 503 with everything that is not as it should be."""
        check_query(req)
        reasons = [
            *self._down_actors(),
            *self._record_troubles(),
            *self._quiet_feeds(),
            *self._unready_books(),
        ]
        word = "not ready" if reasons else "ready"
        _answer(resp, is_fine=not reasons, word=word, facts={"reasons": reasons})

    def _down_actors(self) -> Iterator[Reason]:
        tree = self._edge.directory.tree()
        if not any(view.name == ROOT for view in tree):
            yield {"actor": ROOT, "state": State.DOWN.value, "reason": "not started"}
        for view in tree:
            if view.state is not State.RUNNING:
                reason = view.last_reason
                yield {"actor": view.name, "state": view.state.value, "reason": reason}

    def _record_troubles(self) -> Iterator[Reason]:
        answers = self._edge.gather({STORE: ReadStore(), AUDITOR: ReadAudit()})
        store, audit = answers[STORE], answers[AUDITOR]
        if not isinstance(store, StoreState):
            yield {"store": "no answer", "reason": str(store)}
        elif store.trouble:
            yield {"store": "writing fails", "reason": store.trouble}
        if not isinstance(audit, AuditState):
            yield {"audit": "no answer", "reason": str(audit)}
        elif audit.blocked_reason:
            yield {"audit": "blocks orders", "reason": audit.blocked_reason}

    def _quiet_feeds(self) -> Iterator[Reason]:
        venues = {feed_name(venue): venue for venue in self._edge.tables}
        answers = self._edge.gather(dict.fromkeys(venues, ReadFeed()))
        for name, venue in venues.items():
            answer = answers[name]
            if not isinstance(answer, FeedState):
                yield {"venue": venue, "feed": "no answer", "reason": str(answer)}
            elif not answer.is_connected:
                yield {"venue": venue, "feed": "not connected", "reason": answer.reason}

    def _unready_books(self) -> Iterator[Reason]:
        for (venue, symbol), answer in read_books(self._edge).items():
            book = {"venue": venue, "symbol": symbol}
            if not isinstance(answer, BookRead):
                yield {**book, "state": "no answer", "reason": str(answer)}
            elif answer.state != BookState.LIVE:
                yield {**book, "state": answer.state, "reason": answer.reason}


def read_books(edge: Edge) -> Mapping[tuple[str, str], Any]:
    """By venue and symbol a BookRead of the touch, or what came instead."""
    names = {
        book_name(venue, symbol): (venue, symbol)
        for venue, table in edge.tables.items()
        for symbol in table.symbols
    }
    answers = edge.gather(dict.fromkeys(names, ReadBook(depth=1)))
    return {key: answers[name] for name, key in names.items()}


def _answer(resp: falcon.Response, *, is_fine: bool, word: str, facts: Reason) -> None:
    document: Reason = {"status": 200 if is_fine else 503, "title": word, **facts}
    if not is_fine:
        resp.status = falcon.HTTP_503
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        document["detail"] = "Not everything is as it should be; see the other fields."
    resp.text = to_json(document)
