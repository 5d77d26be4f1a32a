"""Copies of bundles from one DSS to another, or from the bucket of one that nobody serves any more."""
