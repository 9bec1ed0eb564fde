"""What REST answers mean to a feed: runs on the transport's greenlet, away from any actor."""

from collections.abc import Sequence

from stevie.messages.market import BodyUnreadable, InstrumentsAnswered, SnapshotAnswered
from stevie.ports import HttpAnswer, VenueCodec


def instruments_answered(
    codec: VenueCodec, natives: Sequence[str], answer: HttpAnswer
) -> tuple[InstrumentsAnswered | BodyUnreadable, ...]:
    """The followed ones of a venue's instruments, or why they are not known."""
    if error := codec.refusal(answer):
        return (InstrumentsAnswered(error=error),)
    try:
        instruments = codec.read_instruments(answer.body)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        contract = f"{codec.venue}.instruments"
        return (
            InstrumentsAnswered(error=f"instrument list unreadable: {error}"),
            BodyUnreadable(contract=contract, reason=str(error), body=answer.body),
        )
    wanted = {native.upper() for native in natives}
    mine = tuple(each for each in instruments if each.native.upper() in wanted)
    return (InstrumentsAnswered(instruments=mine),)


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
