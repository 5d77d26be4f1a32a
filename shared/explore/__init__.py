"""The catalogue: what bundles say of the projects, samples and files that people look for."""
