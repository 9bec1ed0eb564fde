"""Stevie: a self-hosted paper-trading runtime for crypto markets, built of actors."""

__version__ = "0.1.0"
