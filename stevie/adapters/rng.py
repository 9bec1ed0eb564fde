"""Chance from one seed: a named stream for whoever draws."""

import random


class SeededRng(random.Random):
    """A stream fixed by the seed and the names on the way to it, not by who draws first."""

    def __init__(self, seed: int | str) -> None:
        self._path = str(seed)
        super().__init__(self._path)  # text is hashed by SHA-512, whatever PYTHONHASHSEED is

    def fork(self, name: str) -> "SeededRng":
        """Return the independent stream of this name."""
        return SeededRng(f"{self._path}/{name}")
