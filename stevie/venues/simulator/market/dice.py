"""Seeded random streams: one for each part of the market, so that parts do not disturb another."""

import random


def dice(seed: int, *path: str) -> random.Random:
    """Return the random stream of one named part of the market that this seed means."""
    # A text seed goes through SHA-512, so it does not depend on PYTHONHASHSEED.
    return random.Random("/".join((str(seed), *path)))  # noqa: S311  reproducible, not secret
