"""The `dss` command line, a module an area."""
