"""A plug-in for bundles of any JSON: their files, by facets that the configuration of a catalogue names."""
