"""Binance spot and USD-M as seen from outside: their paths, frames, errors, weights.

All pure but for the market that is handed in: text of requests in, text of answers and frames out.
"""
