"""Pages for people: what is in the store and its catalogues, found, looked at and taken with a browser."""
