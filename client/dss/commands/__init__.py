"""The `dss` command line, a module for each command."""
