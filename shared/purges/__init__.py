"""Removal for good: withhold, give back, and remove versions of files, bundles and collections."""
