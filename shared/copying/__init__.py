"""Copies of blobs: small ones within a call, large ones by a workflow."""
