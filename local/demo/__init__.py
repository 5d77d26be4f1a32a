"""The demo: move a sample bundle through both clouds of a local system."""
