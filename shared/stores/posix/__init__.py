"""A directory as an object store; the example of how little a new store takes."""
