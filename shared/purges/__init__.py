"""Removal for good: withhold, restore, and remove versions of files, bundles and collections."""
