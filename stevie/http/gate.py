"""The gate: what is turned away before any route sees it, and the headers of every answer.

No web page that the operator visits can drive Stevie: names that a page could rebind to this
address are no allowed `Host`, and a request that changes something must not come from elsewhere.
"""

from urllib.parse import urlsplit

import falcon

from stevie.http.encoding import excerpt
from stevie.http.problems import Problem

DRAIN_BYTES_MAX = 16 * 2**20
DRAIN_PART_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class OriginGate:
    """Refuses foreign hosts always, and foreign origins where something may change."""

    def __init__(self, allowed_hosts: tuple[str, ...]) -> None:
        self._hosts = (*LOOPBACK_HOSTS, *(host.lower() for host in allowed_hosts))

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """403 unless the request may come in."""
        host = req.env.get("HTTP_HOST")
        # NOTE: only HTTP/1.0 may leave it out, and no browser speaks that.
        if host is not None and _name(host) not in self._hosts:
            detail = f"{excerpt(host)} is not a name of this server; http.allowed_hosts adds some."
            raise Problem(403, "Foreign host", detail, allowed=self._hosts)
        if req.method not in SAFE_METHODS and _is_foreign(req, host or ""):
            detail = "Requests that change something are not taken from pages of other sites."
            raise Problem(403, "Foreign origin", detail)

    def process_response(
        self, _req: falcon.Request, resp: falcon.Response, _resource: object, _is_success: object
    ) -> None:
        """Add the headers that a route did not set itself."""
        for name, value in SECURITY_HEADERS.items():
            if resp.get_header(name) is None:
                resp.set_header(name, value)


def _name(host: str) -> str:
    """A Host header without its port, in lower case; an IPv6 address keeps its brackets."""
    name = host.strip().lower()
    bare, colon, port = name.rpartition(":")
    return bare if colon and port.isascii() and port.isdigit() else name


def _is_foreign(req: falcon.Request, host: str) -> bool:
    if (req.get_header("Sec-Fetch-Site") or "").lower() == "cross-site":
        return True
    origin = req.get_header("Origin")
    return origin is not None and _netloc(origin) != host.strip().lower()


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin.strip().lower()).netloc or "null"
    except ValueError:
        return "null"


class BodyLimit:
    """Refuses a body above the limit: by its declared length, or once a chunked one passes it."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """413 for what is too large; a chunked body is read here, bounded, for the route."""
        if (req.content_length or 0) > self._bytes_max:
            _drain(req)
            raise self._too_large()
        if "chunked" in (req.get_header("Transfer-Encoding") or "").lower():
            body = req.stream.read(self._bytes_max + 1)
            if len(body) > self._bytes_max:
                _drain(req)
                raise self._too_large()
            req.context.chunked_body = body

    def _too_large(self) -> Problem:
        detail = f"A body may have at most {self._bytes_max} bytes."
        return Problem(413, "Body too large", detail, allowed=[f"{self._bytes_max} bytes"])


def _drain(req: falcon.Request) -> None:
    """Read on for a while: a client that is still sending when we close never sees the answer."""
    left = DRAIN_BYTES_MAX
    while left > 0 and (part := req.stream.read(min(left, DRAIN_PART_BYTES))):
        left -= len(part)
