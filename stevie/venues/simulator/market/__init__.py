"""The simulated market: pure, seeded, stepped. It knows no socket, clock or venue protocol."""
