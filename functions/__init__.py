"""What events start: one module a function; `main` exports the entry points."""
