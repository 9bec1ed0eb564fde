"""Provenance: what a row of the audit log was decided by, so that it can be decided again.

The code, the configuration, the kernel and the definition of the features are facts of a process;
the model and the input are those of an entry; the flags are those that are on.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from stevie.domain.market.features import Features, FeatureSpec
from stevie.domain.operations.audit import AuditEntry, InputRange, canonical

CODE_HASH_DIGITS = 12  # of the sources' hash in `code`: short enough to read out, as git's is

_PASSWORDS = re.compile(r"(?<=://)[^/\s]*(?=@)|(?<=password=)[^&\s]+")  # in the URL of a database
_encode = msgspec.json.encode

Settings = Sequence[tuple[str, str, str]]  # the rows of `stevie.config.explain`: key, value, source


class ProvenanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all rows of one process."""

    code: str
    config_hash: str
    kernel_hash: str
    features_hash: str


class _Provenance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    code: str
    config_hash: str
    kernel_hash: str
    model: str | None
    features_hash: str
    input: dict[str, object]
    flags: tuple[str, ...]


def provenance(facts: ProvenanceFacts, entry: AuditEntry, flags: tuple[str, ...]) -> bytes:
    """Canonical JSON of all that an entry rests on; `flags` are those that are on, sorted."""
    return _encode(
        _Provenance(
            code=facts.code,
            config_hash=facts.config_hash,
            kernel_hash=facts.kernel_hash,
            model=entry.model or None,
            features_hash=facts.features_hash,
            input=_input(entry.input),
            flags=flags,
        )
    )


def _input(used: InputRange) -> dict[str, object]:
    """The fields that this kind of input has, and no others."""
    match used.kind:
        case "none":
            return {"kind": "none"}
        case "capture":
            return {"kind": "capture", "sha256": used.sha256}
        case "l2_log":
            return {
                "kind": "l2_log",
                "venue": used.venue,
                "symbol": used.symbol,
                "first_seq": used.first_seq,
                "last_seq": used.last_seq,
            }


# -- the facts of a process ----------------------------------------------------------------------


def code_version(version: str, sources: Iterable[tuple[str, bytes]]) -> str:
    """`VERSION+HASH`, the hash over the sources by path: any change of any of them shows."""
    content = sha256()
    for path, source in sorted(sources):
        # Each by its own hash: where one file ends and the next begins cannot be confused.
        content.update(f"{path}\n{sha256(source).hexdigest()}\n".encode())
    return f"{version}+{content.hexdigest()[:CODE_HASH_DIGITS]}"


def config_hash(settings: Settings) -> str:
    """The hash of what is configured, whichever source each value came from; of no secret."""
    return sha256(canonical(shown(settings))).hexdigest()


def shown(settings: Settings) -> dict[str, str]:
    """What is configured, by key; `explain` hides secrets, here goes what a URL holds of them."""
    return {key: _PASSWORDS.sub("***", value) for key, value, _ in settings}


def features_hash(spec: FeatureSpec) -> str:
    """The hash of what the features are and look at; how they are computed is the kernel's hash."""
    definition = {"features": list(Features._fields), "spec": msgspec.to_builtins(spec)}
    return sha256(canonical(definition)).hexdigest()
