"""Exports: bundles as directories, bags and research object crates, on a disk or in a bucket."""
