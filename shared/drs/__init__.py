"""What DRS says of files, bundles and collections: ids, names, sizes and checksums."""
