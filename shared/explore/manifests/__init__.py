"""Manifests: lists of the files that match filters, in formats that other programs read.

`formats` has a module for each format; `selection` is what they make a manifest of, `content` what a format
is.
"""
