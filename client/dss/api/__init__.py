"""The routes of the REST API, a module an area."""
