"""Jobs that operators run over the whole store, in slices, with a cursor and a report.

`job_types` is the table of job types; each is a module, deleted with its row. `steps` begins a run, works on
a slice of it, and ends it; the workflow `administer` calls these, or an operator's own process.
"""
