"""What the search index and the catalogue share of PostgreSQL."""
