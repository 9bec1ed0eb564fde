"""The outside world of a replay: a transport fed from the capture."""

from collections.abc import Callable

from stevie.ports import ConnectionListener, HttpAnswer


class ReplayConnection:
    """A socket that is always there."""

    def __init__(self, listener: ConnectionListener) -> None:
        self._listener = listener

    def send(self, text: str) -> None:
        """The capture does not listen."""

    def ping(self) -> None:
        """A recording may be quiet for long; it is not dead."""
        self._listener.on_heard()

    def close(self) -> None:
        """Nothing is open."""


class ReplayTransport:
    """Answers GETs from the capture's own REST lines, each when its line comes."""

    def __init__(self, symbol_of: Callable[[str], str]) -> None:
        self._symbol_of = symbol_of
        self._waiting: dict[str, Callable[[HttpAnswer], None]] = {}
        self._unclaimed: dict[str, HttpAnswer] = {}

    def connect(self, url: str, listener: ConnectionListener) -> ReplayConnection:
        """Open at once."""
        del url
        listener.on_open()
        return ReplayConnection(listener)

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        """Wait for the next REST line of this symbol; one that nobody wanted yet will do."""
        symbol = self._symbol_of(url)
        if symbol in self._unclaimed:
            on_answer(self._unclaimed.pop(symbol))
        elif symbol:
            self._waiting[symbol] = on_answer
        else:
            on_answer(HttpAnswer(url=url, status=0, headers={}, body=b"not in the capture"))

    def offer(self, url: str, body: bytes) -> None:
        """A REST line of the capture; of several unclaimed ones the newest is kept."""
        symbol = self._symbol_of(url)
        if not symbol:
            return
        answer = HttpAnswer(url=url, status=200, headers={}, body=body)
        on_answer = self._waiting.pop(symbol, None)
        if on_answer is None:
            self._unclaimed[symbol] = answer
        else:
            on_answer(answer)
