"""Processes of the local system: start them, reap them, and give them ports."""
