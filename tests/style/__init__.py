"""Rules of the tree as tests; every rule has a bad sample of its own, so that it can fail."""
