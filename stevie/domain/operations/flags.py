"""Flags: the switches that an operator turns while Stevie runs, and how each of them stands.

A change counts once it is durable together with the audit row that tells of it, not before.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stevie.domain.contracts.rows import FlagRow
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload

ON, OFF = "on", "off"  # as a row has it
NO_SEQ_YET = 1  # the auditor puts in the number of the entry's own row


class Flag(NamedTuple):
    """A switch."""

    name: str
    default: bool
    sentence: str


BARS_BACKFILL = Flag(
    name="bars_backfill",
    default=True,
    sentence="Bars of times whose trades were not seen are filled from the venue's klines.",
)
L2_LOG = Flag(
    name="l2_log",
    default=True,
    sentence="What the books apply is recorded, so that they can be rebuilt.",
)

FLAGS = (BARS_BACKFILL, L2_LOG)
NAMES = tuple(flag.name for flag in FLAGS)


class UnknownFlagError(Exception):
    """There is no flag of this name."""


class FlagRefusedError(Exception):
    """Not now, and nothing was changed; the text says why."""


class Setting(NamedTuple):
    """What a flag is set to; both numbers are 0 if it never was."""

    value: bool
    changed_ns: int = 0
    audit_seq: int = 0


class Change(NamedTuple):
    """A setting that is not known to be durable yet."""

    name: str
    value: bool
    at_ns: int


class FlagBoard:
    """How every flag stands, and what is about to change."""

    def __init__(self) -> None:
        self.is_read = False
        self._settings = {flag.name: Setting(flag.default) for flag in FLAGS}
        self._changes: dict[int, Change] = {}  # by receipt, oldest first; those who wait bound it

    def setting(self, name: str) -> Setting:
        """How a flag stands; UnknownFlagError if there is none."""
        try:
            return self._settings[name]
        except KeyError:
            raise UnknownFlagError(name) from None

    def on(self) -> tuple[str, ...]:
        """The names that are on, sorted."""
        return tuple(sorted(name for name, each in self._settings.items() if each.value))

    def underway(self, name: str) -> tuple[int, Change] | None:
        """The newest change of a flag that is not durable yet, and its receipt."""
        found = ((receipt, each) for receipt, each in self._changes.items() if each.name == name)
        return max(found, default=None)

    def wanted(self, name: str) -> bool:
        """What a flag will be once all is durable."""
        underway = self.underway(name)
        return underway[1].value if underway else self.setting(name).value

    def begin(self, receipt: int, change: Change) -> None:
        """Note a change that was told to the auditor."""
        self._changes[receipt] = change

    def confirm(self, receipt: int, *, audit_seq: int) -> str:
        """The change is durable; its flag, or "" if it was none of ours."""
        change = self._changes.pop(receipt, None)
        if change is None:
            return ""
        self._take(change.name, Setting(change.value, change.at_ns, audit_seq))
        return change.name

    def restore(self, rows: Iterable[FlagRow]) -> tuple[str, ...]:
        """Take over what the store has; the names whose rows say nothing to us."""
        self.is_read = True
        strange = []
        for row in rows:
            if row.name in self._settings and row.value in {ON, OFF}:
                self._take(row.name, Setting(row.value == ON, row.changed_ns, row.audit_seq))
            else:
                strange.append(row.name)
        return tuple(strange)

    def _take(self, name: str, setting: Setting) -> None:
        """The later row holds, in whichever order they are heard of."""
        if setting.audit_seq > self._settings[name].audit_seq:
            self._settings[name] = setting


def entry(change: Change, *, was: bool, by: str, actor: str) -> AuditEntry:
    """What the audit log says of a change."""
    facts = payload(**{"name": change.name, "from": was, "to": change.value, "by": by})
    return AuditEntry(at_ns=change.at_ns, kind=AuditKind.FLAG_SET, actor=actor, payload=facts)


def row(change: Change) -> FlagRow:
    """What the store keeps of a change."""
    return FlagRow(
        name=change.name,
        value=ON if change.value else OFF,
        changed_ns=change.at_ns,
        audit_seq=NO_SEQ_YET,
    )
