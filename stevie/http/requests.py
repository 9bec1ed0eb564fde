"""How the edge reads a request: query parameters, symbols, bodies. What it expects, it enforces."""

import re
from collections.abc import Mapping
from typing import TypeVar

import falcon
import msgspec

from stevie.domain.market.instrument import Instrument, SymbolTable
from stevie.http.encoding import excerpt
from stevie.http.problems import Problem

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)

Body = TypeVar("Body")


class Resource:
    """The base of every resource; GET answers HEAD as well."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Answer; each resource does so in its own way."""
        raise NotImplementedError

    def on_head(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Answer as to a GET; the server leaves the body out."""
        self.on_get(req, resp, **path)


class Bounds(msgspec.Struct, frozen=True):
    """A whole number that a query may carry."""

    default: int
    least: int
    most: int

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


def check_query(req: falcon.Request, *allowed: str) -> None:
    """400 for any parameter that is not understood here."""
    unknown = [name for name in req.params if name not in allowed]
    if unknown:
        names = ", ".join(excerpt(name, 40) for name in unknown[:5])
        what = "Allowed: " + ", ".join(allowed) if allowed else "This route takes none"
        raise Problem(400, "Unknown parameter", f"{names}. {what}.", allowed=allowed)


def whole_number(req: falcon.Request, name: str, bounds: Bounds) -> int:
    """A query parameter within its bounds; 400 otherwise."""
    value = req.params.get(name, str(bounds.default))
    is_number = isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value)
    if not is_number or not bounds.least <= int(str(value)) <= bounds.most:
        detail = f"{name}: expected {bounds}, was {excerpt(str(value))}."
        raise Problem(400, "Malformed parameter", detail, allowed=[str(bounds)])
    return int(str(value))


def find_table(tables: Mapping[str, SymbolTable], venue: str) -> SymbolTable:
    """The instruments of a venue; 404 with the venues there are."""
    table = tables.get(venue)
    if table is None:
        detail = f"No venue {excerpt(venue)} is followed."
        raise Problem(404, "Unknown venue", detail, allowed=list(tables))
    return table


def find_instrument(tables: Mapping[str, SymbolTable], venue: str, alias: str) -> Instrument:
    """A venue's instrument by any of its names; 404 with those followed there."""
    table = find_table(tables, venue)
    instrument = table.find(alias)
    if instrument is None:
        raise unknown_symbol(alias, table.symbols, where=f"at {venue}")
    return instrument


def find_symbol(tables: Mapping[str, SymbolTable], alias: str) -> str:
    """The compact symbol that some venue follows under this name; 404 with all that there are."""
    for table in tables.values():
        instrument = table.find(alias)
        if instrument is not None:
            return instrument.symbol
    symbols = dict.fromkeys(symbol for table in tables.values() for symbol in table.symbols)
    raise unknown_symbol(alias, tuple(symbols), where="at any venue")


def unknown_symbol(alias: str, followed: tuple[str, ...], *, where: str) -> Problem:
    """404 with the symbols there are."""
    detail = f"No symbol {excerpt(alias)} is followed {where}."
    return Problem(404, "Unknown symbol", detail, allowed=followed)


def read_body(req: falcon.Request, kind: type[Body]) -> Body:
    """The body as JSON of this kind, whatever its content type says; 400 or 422 otherwise."""
    body = getattr(req.context, "chunked_body", None)
    if body is None:
        body = req.bounded_stream.read()
    return msgspec.json.decode(body, type=kind)
