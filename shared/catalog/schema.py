"""The version of the catalog's schema: of the forms of its documents that this release reads and writes."""

# To change a form so that the releases before must not write any more, add one, and a migration to
# shared/maintenance/migrations.py. A new optional field needs neither.
SCHEMA = 2
