"""Manifests of catalogues' files as jobs: ordered by requests, made there or by a workflow.

`shared.explore.manifests` makes their bytes.
"""
