"""How much one request of DRS may ask for."""

# Objects, or pairs of an object and an access id: `maxBulkRequestLength` of the standard. Resolving that many
# files takes 1 s (docs/benchmarks/drs.md).
MOST_OBJECTS = 1_000
