"""How much one request of DRS may ask for."""

# Objects, or pairs of an object and an access id: `maxBulkRequestLength` of the standard. Resolving that many
# files takes 1 s (docs/benchmarks/drs.md).
MOST_OBJECTS = 1_000

# Items that one answer lists, of all bundles and collections in it; the only list is complete in any case.
# So many are 29 MB of JSON. Cloud Run: an answer is at most 32 MiB.
MOST_ITEMS = 100_000
# Collections within collections that one request follows.
DEEPEST = 16
