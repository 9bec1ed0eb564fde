"""The HTTP edge: one file a noun."""
