"""Bugs to plant: production code broken on purpose, in ways in which somebody might break it."""

from collections.abc import Callable
from typing import Any

import pytest

from stevie.domain.market import core, sequencer
from stevie.domain.market.book import Book, BookState, Reason
from stevie.domain.market.ladder import Ladder
from stevie.domain.market.sequencer import Verdict
from stevie.runtime.mailbox import Mailbox, opened

Plant = Callable[[pytest.MonkeyPatch], None]


def resync_skipped(patch: pytest.MonkeyPatch) -> None:
    """A delta that does not continue the book is applied all the same."""
    judge = core.judge

    def lenient(*arguments: Any) -> Verdict:
        verdict = judge(*arguments)
        return Verdict.APPLY if verdict is Verdict.GAP else verdict

    patch.setattr(core, "judge", lenient)


def gap_message_applied_again(patch: pytest.MonkeyPatch) -> None:
    """What waited for the snapshot is applied to it, whether the snapshot holds it or not."""
    patch.setattr(sequencer, "_judge_first", lambda *_: Verdict.APPLY)


def horizon_ignored(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is taken for the whole book."""
    patch.setattr(Book, "_judge_horizon", lambda *_: None)


def stale_buffer_kept(patch: pytest.MonkeyPatch) -> None:
    """A new connection goes on with the frames that the one before left waiting."""
    start_sync = Book._start_sync

    def forgetful(book: Book, state: BookState, reason: Reason, now_ns: int) -> None:
        if reason is not Reason.DISCONNECTED and reason is not Reason.WAITING_FOR_DELTA:
            start_sync(book, state, reason, now_ns)
            return
        book._is_refreshing = book.snapshot_wanted = False
        book._move(state, reason, now_ns)

    patch.setattr(Book, "_start_sync", forgetful)


def crossed_book_repaired(patch: pytest.MonkeyPatch) -> None:
    """Asks below the best bid are thrown out, as if the newest message were always right."""

    def repair(ladder: Ladder) -> bool:
        while (bid := ladder.bids.touch()) and (ask := ladder.asks.touch()) and bid[0] > ask[0]:
            ladder.asks.set(ask[0], 0)
        return False

    patch.setattr(Ladder, "is_crossed", repair)


def wake_up_lost(patch: pytest.MonkeyPatch) -> None:
    """A message that comes while its receiver sleeps does not always wake it."""
    offer = Mailbox.offer

    def dull(mailbox: Mailbox, mail: Any) -> bool:
        wake, mailbox.wake = mailbox.wake, None
        if type(opened(mail).message).__name__ != "BookConnected":
            mailbox.wake = wake
        return offer(mailbox, mail)

    patch.setattr(Mailbox, "offer", dull)
