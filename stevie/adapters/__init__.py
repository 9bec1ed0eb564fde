"""The other side of ports.py."""
