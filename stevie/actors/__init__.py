"""The actors: thin shells over the domain, one file each."""
