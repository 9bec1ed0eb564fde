"""The record's part of the supervision tree, as data: the store, the auditor, the flags."""

import msgspec

from stevie.actors.auditor import Auditor
from stevie.actors.flag_keeper import FlagKeeper
from stevie.actors.store_keeper import StoreKeeper
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.provenance import ProvenanceFacts
from stevie.ports_record import StoreWriter, TableLimit
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise

RECORD = "record"
STORE = "store"
AUDITOR = "auditor"
FLAGS = "flags"

GROUP_INTENSITY = Intensity(restarts=3, period_s=60.0)


class RecordSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the record stage is made of."""

    writer: StoreWriter
    limits: tuple[TableLimit, ...]
    facts: ProvenanceFacts
    tally: Tally


def record_spec(setup: RecordSetup, flag_listeners: tuple[str, ...]) -> ChildSpec:
    """One for all: an auditor continues the chain from what its store really has."""
    children = (
        ChildSpec(
            name=STORE,
            factory=StoreKeeper,
            arguments={"writer": setup.writer, "limits": setup.limits},
        ),
        ChildSpec(
            name=AUDITOR, factory=Auditor, arguments={"facts": setup.facts, "tally": setup.tally}
        ),
        ChildSpec(
            name=FLAGS, factory=FlagKeeper, arguments={"listeners": (AUDITOR, *flag_listeners)}
        ),
    )
    plan = Plan(children=children, strategy=Strategy.ONE_FOR_ALL, intensity=GROUP_INTENSITY)
    return supervise(RECORD, plan)
