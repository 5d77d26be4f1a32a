"""The catalogue plug-in for bundles with the Human Cell Atlas's metadata."""
