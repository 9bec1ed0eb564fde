"""The exchange simulator: a process of its own that speaks the venues' public protocols.

`market/` is the pure market behind every venue; each venue's protocol is one folder beside it
(`binance/`); `server.py` and `connection.py` are the only files that know sockets.
"""
