"""The commands of `dss admin`, a module for each."""
