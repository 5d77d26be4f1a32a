"""The catalogue's tables in PostgreSQL."""
