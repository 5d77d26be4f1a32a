"""The catalogue of a DSS: entities by what they are, in pages, counts and tables."""
