"""Exploration: the production actors against the simulated market, on virtual time, with faults."""
