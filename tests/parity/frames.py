"""Frames of a market that never was: chains that hold and that break, in many spellings."""

import json
import random
from collections.abc import Sequence
from typing import Any

SYMBOL = "BTCUSDT"
START_NS = 1_700_000_000_000_000_000

PLAIN_NUMBERS = ("1", "2", "10", "99.5", "100", "100.5", "0.1", "007", "12.3400", "3.00000000")
HARD_NUMBERS = (
    "0",
    "0.000",
    "0.000000000000000001",
    "0.0000000000000000001",
    "2305843009213693951",
    "2305843009213693952",
    "230584300921369395.1",
    "123456789012345678",
    "1234567890123456789.5",
    "00000000000000000000000001.50",
    "1.5" + "0" * 60,
    "9" * 40,
)
BAD_NUMBERS = (
    "",
    "-1",
    "+1",
    "1e3",
    ".5",
    "5.",
    " 1",
    "1 ",
    "0x1",
    "1.2.3",
    "\u0661",
    "NaN",
    "1_0",
)


class Market:
    """Seeded frames around a price of 100; most continue the chain, some do not."""

    def __init__(self, seed: int, *, usdm: bool = False) -> None:
        self.rng = random.Random(seed)
        self.usdm = usdm
        self.seq = 1000
        self.trade_id = 1
        self.at_ns = START_NS

    def tick(self) -> int:
        """The time of the next arrival."""
        self.at_ns += self.rng.choice((0, 1, 1000, 100_000_000, 2_000_000_000))
        return self.at_ns

    def snapshot(self, size: int = 8) -> bytes:
        """A REST body as of now."""
        bids = [[self._price(90, 100), self._size()] for _ in range(self.rng.randrange(size))]
        asks = [[self._price(100, 110), self._size()] for _ in range(self.rng.randrange(size))]
        return self._spell({"lastUpdateId": self.seq, "bids": bids, "asks": asks})

    def frame(self) -> bytes:
        """Any frame."""
        kind = self.rng.choices(("delta", "trade", "other", "odd"), (12, 3, 1, 1))[0]
        event = getattr(self, f"_{kind}")()
        if self.rng.random() < 0.5:
            event = {"stream": "btcusdt@depth", "data": event}
        return self._spell(event)

    def _delta(self) -> dict[str, Any]:
        rng, usdm = self.rng, self.usdm
        first = self.seq + (rng.randrange(1, 4) if usdm else 1)
        last = first + rng.randrange(3)
        previous = self.seq
        trouble = rng.random()
        if trouble < 0.05:
            first, last = first - 5, last - 5  # old
        elif trouble < 0.08:
            first, last, previous = first + 3, last + 3, previous + 3  # a hole
        elif trouble < 0.10:
            first, last = last + 1, first  # impossible
        else:
            self.seq = last
        event = {"e": "depthUpdate", "E": self.at_ns // 1_000_000, "s": self._symbol()}
        event |= {"U": first, "u": last}
        event |= {"pu": previous} if usdm else {}
        bids = [self._level(90, 101) for _ in range(rng.randrange(5))]
        return event | {"b": bids, "a": [self._level(100, 110) for _ in range(rng.randrange(5))]}

    def _trade(self) -> dict[str, Any]:
        self.trade_id += self.rng.choice((0, 1, 1, 2))
        kind = self.rng.choice(("trade", "trade", "trade", "aggTrade"))
        event: dict[str, Any] = {"e": kind, "E": 1, "s": self._symbol(), "p": "100.0"}
        event |= {"t" if kind == "trade" else "a": self.trade_id, "q": self._size()}
        return event | {"m": self.rng.choice((True, False))}

    def _other(self) -> Any:
        events: tuple[Any, ...] = ({"u": 1, "s": SYMBOL, "b": "1", "a": "2"}, [], 1, "e")
        events += ({"e": "kline", "k": {"t": [1, {}]}}, {"result": None, "id": 1})
        events += ({"data": []}, {"data": {"data": {"e": "trade"}}})
        return self.rng.choice(events)

    def _odd(self) -> dict[str, Any]:
        """One field is what it should not be, or is missing."""
        event = self.rng.choice((self._delta, self._trade))()
        key = self.rng.choice(sorted(event))
        odd: tuple[Any, ...] = (
            None,
            True,
            "",
            "x",
            1,
            -1,
            1.0,
            2**63 - 1,
            2**63,
            2**64,
            {},
            [],
            [[]],
            [["1"]],
        )
        odd += ([["1", "2", 3]], [["1", 2]], [["1", "2"], 0], [[{"": []}, "1"]], "1")
        event[key] = self.rng.choice(odd)
        if self.rng.random() < 0.3:
            del event[key]
        return event

    def _level(self, low: int, high: int) -> list[Any]:
        size = "0.00" if self.rng.random() < 0.4 else self._size()
        level: list[Any] = [self._price(low, high), size]
        if self.rng.random() < 0.02:
            level.append([])
        return level

    def _price(self, low: int, high: int) -> str:
        if self.rng.random() < 0.003:
            return self.rng.choice(HARD_NUMBERS + BAD_NUMBERS)
        decimals = self.rng.choice((0, 1, 1, 1, 2))
        text = f"{self.rng.uniform(low, high):.{decimals}f}"
        return text + "0" * self.rng.choice((0, 0, 6)) if decimals else text

    def _size(self) -> str:
        draw = self.rng.random()
        if draw < 0.9:
            return self.rng.choice(PLAIN_NUMBERS)
        return self.rng.choice(HARD_NUMBERS if draw < 0.997 else BAD_NUMBERS)

    def _symbol(self) -> str:
        return SYMBOL if self.rng.random() < 0.93 else self.rng.choice(("ETHUSDT", "", "btcusdt"))

    def _spell(self, value: Any) -> bytes:
        """The same JSON in one of its spellings."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.6:
            return json.dumps(value, separators=(",", ":")).encode()
        if draw < 0.7:
            return json.dumps(value, ensure_ascii=False, indent=rng.choice((None, 1))).encode()
        if draw < 0.8 and isinstance(value, dict):
            pairs = list(value.items())
            rng.shuffle(pairs)
            value = dict(pairs)
        text = json.dumps(value)
        if draw < 0.9:
            return self._escape(text).encode()
        return self._repeat(text).encode()

    def _escape(self, text: str) -> str:
        """Letters and digits of strings as escapes, now and then."""
        out, in_string = [], False
        for char in text:
            in_string ^= char == '"'
            if in_string and char.isalnum() and self.rng.random() < 0.1:
                out.append(f"\\u{ord(char):04{self.rng.choice('xX')}}")
            else:
                out.append(char)
        return "".join(out)

    def _repeat(self, text: str) -> str:
        """A key twice: the last one counts."""
        key, value = self.rng.choice(
            (('"e"', "1"), ('"U"', "[[1]]"), ('"b"', '"x"'), ('"s"', "{}"))
        )
        if self.rng.random() < 0.5:
            return text.replace(key, f"{key}:{value},{key}")
        return text.replace("}", f",{key}:{value}}}", 1) if text[-2:] != "{}" else text


VOCABULARY = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\t", b"\x00", b"\x1f"),
    *(b"0", b"-", b".", b"e", b"E5", b"e400", b"1e-400", b"-0", b"null", b"true", b"false", b"[]"),
    *(b"\\u0041", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\n", b"\\x", b"\\u12"),
    *(b"\xc3\xa9", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80"),
    *(b"\xc0\x80", b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xf0\x8f\x80\x80", b"\xe2\x82"),
    *(b"\xef\xbb\xbf", b"\xff", b"\x7f", b'{"a":1}', b'"a":1,', b'"e":', b'"data":', b'"b":[]'),
    *(b"9223372036854775807", b"9223372036854775808", b"1.7976931348623159e308", b"NaN"),
    *(b"[" * 255, b"]" * 255, b"[" * 300 + b"]" * 300, b"1" * 4301, b"0" * 30),
)


def mutated(frame: bytes, rng: random.Random) -> bytes:
    """The frame with one to three wounds."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, end = rng.randrange(len(frame) + 1), rng.randrange(len(frame) + 1)
        match rng.randrange(8):
            case 0:
                frame = frame[:at]
            case 1 | 2 if at < len(frame):
                frame = frame[:at] + bytes((frame[at] ^ 1 << rng.randrange(8),)) + frame[at + 1 :]
            case 3:
                frame = frame[:at] + rng.choice(VOCABULARY) + frame[at:]
            case 4:
                frame = frame[:at] + frame[at + rng.randrange(4) :]
            case 5:
                frame = frame[:at] + frame[end : end + rng.randrange(40)] + frame[at:]
            case 6:
                frame = frame[:at] + rng.choice(VOCABULARY) + frame[at + rng.randrange(8) :]
            case _:
                frame = _exchanged(frame, rng)
    return frame


def _exchanged(frame: bytes, rng: random.Random) -> bytes:
    """Two tokens of the text change places."""
    marks = [i for i, char in enumerate(frame) if char in b'[]{}:,"']
    if len(marks) < 4:
        return frame
    a, b, c, d = sorted(rng.sample(marks, 4))
    return frame[:a] + frame[c:d] + frame[b:c] + frame[a:b] + frame[d:]


def times(count: int, market: Market) -> Sequence[int]:
    """Receive times of so many frames."""
    return [market.tick() for _ in range(count)]
