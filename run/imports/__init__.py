"""Imports: objects that are in a cloud already become files and bundles; see `docs/import.md`."""
