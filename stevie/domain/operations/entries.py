"""Entries: what the composition root tells the audit log of the process itself."""

from collections.abc import Sequence

from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.domain.operations.provenance import Settings, config_hash, shown

PROCESS = "stevie"  # in the place of an actor's name


def started(
    *,
    at_ns: int,
    version: str,
    kernel: str,
    profile: str,
    market: str,
    pid: int,
    venues: Sequence[str],
    symbols: Sequence[str],
) -> AuditEntry:
    """The first entry of a process; `kernel` is native or python."""
    facts = payload(
        version=version,
        kernel=kernel,
        profile=profile,
        market=market,
        pid=pid,
        venues=tuple(venues),
        symbols=tuple(symbols),
    )
    return AuditEntry(at_ns=at_ns, kind=AuditKind.STARTED, actor=PROCESS, payload=facts)


def configured(*, at_ns: int, settings: Settings) -> AuditEntry:
    """The second one: every key and its value; `settings` are the rows of `config.explain`."""
    facts = payload(config_hash=config_hash(settings), config=shown(settings))
    return AuditEntry(at_ns=at_ns, kind=AuditKind.CONFIGURED, actor=PROCESS, payload=facts)


def stopped(*, at_ns: int, reason: str) -> AuditEntry:
    """The last one, told before the actors go down."""
    facts = payload(reason=reason)
    return AuditEntry(at_ns=at_ns, kind=AuditKind.STOPPED, actor=PROCESS, payload=facts)


def restarted(*, at_ns: int, actor: str, reason: str) -> AuditEntry:
    """An actor ended abnormally, and its supervisor begins another incarnation."""
    facts = payload(reason=reason)
    return AuditEntry(at_ns=at_ns, kind=AuditKind.RESTART, actor=actor, payload=facts)
