"""What operators have done to the whole store: runs of some kind, in slices, with a cursor and a report.

`kinds` is the table of what there is; each kind is a module, deleted with its row. `steps` begins a run,
works on a slice of it, and ends it; the workflow `administer` calls these, or an operator's own process.
"""
