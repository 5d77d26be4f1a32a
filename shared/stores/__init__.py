"""Object stores behind one protocol (`base`), a package for each cloud; only these import cloud SDKs."""
