"""Explorers for tests: the reference kernel, and the actors' log lines left out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from stevie.explore.exploration import Explorer, Scenario
from stevie.ports import Kernel
from tests.domain.market.depth_chains import kernel_named


def python_explorer(scenario: Scenario) -> Explorer:
    return Explorer(scenario, kernel_named("python"))


def fastest_kernel() -> Kernel:
    """The native kernel where it can be had."""
    try:
        return kernel_named("native")
    except BaseException as skipped:
        if type(skipped).__name__ != "Skipped":
            raise
        return kernel_named("python")


@contextmanager
def no_logs() -> Iterator[None]:
    """Thousands of crashes as planned would each write a traceback."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)
