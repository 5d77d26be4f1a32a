"""The token issuer of the local system, and its clients."""
