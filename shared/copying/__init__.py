"""Copying: how the bytes of a blob get from one place to another, small in a call, large by a workflow."""
