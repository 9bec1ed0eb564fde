"""The catalog: every contract, its version, and the fingerprint of every version there ever was.

A document that changes its shape or its rules gets a new version here, and a line of its own in
FINGERPRINTS; `tests/domain/contracts/test_catalog.py` fails when one is forgotten.
"""

from typing import Any

from stevie.domain.contracts.audit_row import AuditRowDocument
from stevie.domain.contracts.contract import Contract
from stevie.domain.contracts.execution import OrderDocument, OrderRequest
from stevie.domain.contracts.feature_row import FeatureRowDocument
from stevie.domain.contracts.flags import FlagDocument, FlagRequest
from stevie.domain.contracts.l2 import L2Document
from stevie.domain.contracts.microstructure import MicrostructureDocument
from stevie.domain.contracts.model_meta import ModelDocument
from stevie.domain.contracts.ohlcv import BarDocument
from stevie.domain.contracts.routing import RouteDocument, RouteRequest

OHLCV = Contract("ohlcv", 1, BarDocument, "out")
L2 = Contract("l2", 1, L2Document, "out")
MICROSTRUCTURE = Contract("microstructure", 1, MicrostructureDocument, "out")
ROUTER_IN = Contract("router_in", 1, RouteRequest, "in")
ROUTER_OUT = Contract("router_out", 1, RouteDocument, "out")
EXECUTION_IN = Contract("execution_in", 1, OrderRequest, "in")
EXECUTION_OUT = Contract("execution_out", 1, OrderDocument, "out")
AUDIT_ROW = Contract("audit_row", 1, AuditRowDocument, "out")
MODEL_META = Contract("model_meta", 1, ModelDocument, "out")
FEATURE_ROW = Contract("feature_row", 1, FeatureRowDocument, "out")
FLAG_IN = Contract("flag_in", 1, FlagRequest, "in")
FLAG_OUT = Contract("flag_out", 1, FlagDocument, "out")

CONTRACTS: tuple[Contract[Any], ...] = (
    OHLCV,
    L2,
    MICROSTRUCTURE,
    ROUTER_IN,
    ROUTER_OUT,
    EXECUTION_IN,
    EXECUTION_OUT,
    AUDIT_ROW,
    MODEL_META,
    FEATURE_ROW,
    FLAG_IN,
    FLAG_OUT,
)

# By name and version; lines are added, never changed.
FINGERPRINTS = {
    "ohlcv/1": "cf604ece8e1e884a",
    "l2/1": "d4f903dbcf3e3a1b",
    "microstructure/1": "207f0ab1ca9d9986",
    "router_in/1": "eced3868647529c2",
    "router_out/1": "7c268f842fd770a2",
    "execution_in/1": "41708bb0753561db",
    "execution_out/1": "3fd0bb65b165bb9f",
    "audit_row/1": "64d8bafa8cceffc4",
    "model_meta/1": "77c4d751c4ced199",
    "feature_row/1": "2bd65420da548356",
    "flag_in/1": "5dbb0e49a651aedf",
    "flag_out/1": "089aa16733a3ad93",
}
