"""Replay: a recorded capture through the real actors, and what came of it."""
