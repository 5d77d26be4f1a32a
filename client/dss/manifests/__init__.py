"""Manifests: lists of files, which a DSS makes of what is in its catalogue, read to download what they name.

What a cell, a record or a document says is taken from the columns of Azul, the predecessor's service, and of
the predecessor's client, `hca dss download-manifest`.
"""
