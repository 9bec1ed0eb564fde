"""The actor substrate on Pykka; it knows nothing of trading."""
