"""Uploads and downloads: from a directory to a bundle, and back."""
