"""Planted bugs: patches of the sources, each of which a run of chaos has to find."""
