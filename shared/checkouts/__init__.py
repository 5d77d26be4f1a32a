"""Checkouts: copies of bundles and files where users fetch them, made by a workflow."""
