"""The token issuer of the local system: an OpenID provider, its keys, and its client."""
