"""Contracts: the shape of every value that crosses a border of Stevie."""
