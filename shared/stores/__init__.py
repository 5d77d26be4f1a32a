"""Object stores behind one protocol (`base`), one module a cloud; only these know the clouds' SDKs."""
