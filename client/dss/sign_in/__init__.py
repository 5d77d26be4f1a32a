"""Signing in: get tokens from an OpenID provider or from Google, keep them, and refresh them."""
