"""The demo: the whole system starts, moves a bundle through both clouds, and stops."""
