"""Those whom the kernel is measured against, and the kernel itself: each a `Contender`."""
