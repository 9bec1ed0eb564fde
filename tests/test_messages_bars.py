from stevie.messages.bars import TradeFramesReceived, TradesInterrupted


def batch(*frames: bytes) -> TradeFramesReceived:
    return TradeFramesReceived(frames=frames)


def test_batches_of_trades_that_wait_are_folded_in_order() -> None:
    assert batch().fold((batch(b"a"), batch(b"b", b"c"))) == batch(b"a", b"b", b"c")
    assert batch(b"ab", b"c").size_bytes() == 3


def test_trades_that_a_full_mailbox_dropped_are_declared_as_a_gap() -> None:
    lost = batch().loss(lost_count=3, lost_bytes=900)

    assert isinstance(lost, TradesInterrupted)
    assert "3 batches" in lost.reason
