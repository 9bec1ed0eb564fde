"""Per venue: wire codec, instrument rules, limits; and the exchange simulator."""
