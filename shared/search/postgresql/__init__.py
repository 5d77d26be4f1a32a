"""Search on PostgreSQL."""
