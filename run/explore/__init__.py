"""The catalogue's service: find projects, samples, files and bundles by what they are, as Azul's clients
do."""
