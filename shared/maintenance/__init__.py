"""Maintenance: audit, repair, rebuild, sweep and dead letters, for catalog, buckets and index."""
