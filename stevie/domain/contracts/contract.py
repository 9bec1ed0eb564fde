"""Contract: a named, versioned document, how it is read, vouched for and written as a schema."""

import hashlib
import json
import re
from typing import Any, Generic, Literal, TypeVar

import msgspec

from stevie.domain.contracts.document import Document

Shape = TypeVar("Shape", bound=Document)
Direction = Literal["in", "out"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_WORDS = frozenset({"title", "description"})  # wording may get better without a new version
_HOLDS_TYPES = ("type", "types", "fields", "item_type", "item_types", "key_type", "value_type")
_PATH = re.compile(r"(.*) - at (?:`key` in )?`(\$[^`]*)`", re.DOTALL)


class ContractBreach(Exception):  # noqa: N818 - it says what happened
    """Something of our own breaks its contract: a fault of Stevie's, never of who asked."""

    def __init__(self, contract: str, path: str, reason: str) -> None:
        super().__init__(f"{contract}: {reason} (at {path})")
        self.contract, self.path, self.reason = contract, path, reason

    @classmethod
    def of(cls, contract: str, error: msgspec.DecodeError) -> "ContractBreach":
        """What msgspec has to say, in its parts."""
        match = _PATH.fullmatch(str(error))
        reason, path = match.groups() if match else (str(error), "$")
        return cls(contract, path, reason)


class Contract(Generic[Shape]):
    """One document at one version; `direction` tells who writes it, the caller or we."""

    def __init__(self, name: str, version: int, shape: type[Shape], direction: Direction) -> None:
        self.name, self.version, self.shape = name, version, shape
        self.direction: Direction = direction
        self.id = f"stevie:contract/{name}/{version}"
        self._one = msgspec.json.Decoder(shape)
        self._many = msgspec.json.Decoder(tuple[shape, ...])  # type: ignore[valid-type]

    def __repr__(self) -> str:
        return f"Contract({self.name}/{self.version})"

    def read(self, body: bytes) -> Shape:
        """What a caller sent; msgspec's ValidationError if it breaks the contract.

        DecodeError, its parent, if it is no JSON, or JSON that says a thing twice: which of the two
        was meant, nobody knows, and readers differ.
        """
        try:
            document = self._one.decode(body)
        except msgspec.ValidationError:
            _check_json(body)  # a broken text may break the contract before it breaks off
            raise
        _check_keys(body)
        return document

    def vouched(self, text: str) -> str:
        """A document that is about to leave, as it is; ContractBreach if it must not."""
        try:
            self._one.decode(text)
        except msgspec.DecodeError as error:
            raise ContractBreach.of(self.id, error) from error
        return text

    def vouched_each(self, text: str) -> str:
        """The same for an array of documents."""
        try:
            self._many.decode(text)
        except msgspec.DecodeError as error:
            raise ContractBreach.of(self.id, error) from error
        return text

    def schema(self) -> dict[str, Any]:
        """The contract as JSON Schema 2020-12."""
        _, parts = msgspec.json.schema_components([self.shape], ref_template="#/$defs/{name}")
        kinds = {kind.__name__: kind for kind in _documents(self.shape)}
        parts = {name: _stated(part, kinds.get(name)) for name, part in parts.items()}
        root = _typed(parts.pop(self.shape.__name__))
        head = {"$schema": DIALECT, "$id": self.id, "title": self.name, "$comment": self._comment()}
        nested = {name: _typed(part) for name, part in sorted(parts.items())}
        return {**head, **{**root, "title": self.name}, **({"$defs": nested} if nested else {})}

    def _comment(self) -> str:
        writer = "the caller" if self.direction == "in" else "Stevie"
        return (
            f"Version {self.version}, written by {writer}. Integers have no fraction: 1, not 1.0."
        )

    def fingerprint(self) -> str:
        """Changes with the shape or the rules, not with the words that explain them."""
        rules = sorted(
            f"{kind.__name__}.{each.name}: {each.sentence}"
            for kind in _documents(self.shape)
            for each in kind.rules
        )
        shape = _wordless(self.schema())
        canonical = msgspec.json.encode([shape, rules], order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:16]


def _check_json(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
        _check_keys(body)
    except RecursionError as error:
        raise msgspec.DecodeError("JSON is nested too deeply") from error


def _check_keys(body: bytes) -> None:
    json.loads(body, object_pairs_hook=_each_key_once)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key in found if sum(each == key for each, _ in pairs) > 1)
        raise msgspec.DecodeError(f"Object contains the field `{twice[:64]}` more than once")
    return found


def _documents(shape: type[Document]) -> set[type[Document]]:
    """The shape and every document that nests in it."""
    found: set[type[Document]] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(shape)]
    while waiting:
        node = waiting.pop()
        kind = getattr(node, "cls", None)
        if kind in found:
            continue
        if isinstance(node, msgspec.inspect.StructType):
            assert issubclass(node.cls, Document), node.cls
            found.add(node.cls)
        for name in _HOLDS_TYPES:
            held = getattr(node, name, ())
            waiting += held if isinstance(held, tuple) else (held,)
    return found


def _stated(part: dict[str, Any], kind: type[Document] | None) -> dict[str, Any]:
    """With the docstring on one line, and the rules behind it."""
    rules = kind.rules if kind is not None else ()
    sentences = (" ".join(str(part["description"]).split()), *(each.sentence for each in rules))
    return {**part, "description": " ".join(sentences)}


def _typed(schema: Any) -> Any:
    """Say of every enumeration what msgspec leaves to be guessed: its type."""
    if isinstance(schema, list):
        return [_typed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    typed = {key: _typed(value) for key, value in schema.items()}
    if "enum" in typed and isinstance(typed["enum"], list):
        assert all(isinstance(each, str) for each in typed["enum"]), typed
        return {"type": "string", **typed}
    return typed


def _wordless(schema: Any) -> Any:
    """Without what only explains; a property may well be called `title`."""
    if isinstance(schema, list):
        return [_wordless(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _wordless(each) for name, each in value.items()}
        if key in {"properties", "$defs"}
        else _wordless(value)
        for key, value in schema.items()
        if key not in _WORDS and key != "$comment"
    }
