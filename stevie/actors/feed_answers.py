"""What REST answers mean to a feed: runs on the transport's greenlet, away from any actor."""

from collections.abc import Sequence

from stevie.domain.market.instrument import Instrument
from stevie.messages import InstrumentsAnswered, SnapshotAnswered
from stevie.ports import HttpAnswer, VenueCodec


def instruments_answered(
    codec: VenueCodec, natives: Sequence[str], answer: HttpAnswer
) -> InstrumentsAnswered:
    """The followed ones of a venue's instruments, or why they are not known."""
    error = codec.refusal(answer)
    instruments: tuple[Instrument, ...] = ()
    if not error:
        try:
            instruments = codec.read_instruments(answer.body)
        except (ValueError, LookupError, TypeError, RecursionError) as unreadable:
            error = f"instrument list unreadable: {unreadable}"
    wanted = {native.upper() for native in natives}
    mine = tuple(each for each in instruments if each.native.upper() in wanted)
    return InstrumentsAnswered(instruments=mine, error=error)


def snapshot_answered(codec: VenueCodec, native: str, answer: HttpAnswer) -> SnapshotAnswered:
    """A snapshot's body with the depth that was asked for, or the venue's refusal."""
    return SnapshotAnswered(
        native_symbol=native,
        body=answer.body,
        level_limit=codec.snapshot_request(answer.url)[1],
        refusal=codec.refusal(answer),
        is_not_listed=codec.is_not_listed(answer),
        retry_after_s=codec.retry_after_s(answer),
    )
