"""Google Cloud Storage on one machine: its wire protocol, over files and SQLite.

It serves what the project sends, exactly as Google Cloud Storage does, and refuses the rest: a query
parameter, path, method, property or `x-goog-*` header it doesn't know is answered 501 and named, so no
test passes on what the real service would do differently.

What a kill leaves behind is either an object as a whole or none: content goes to a file that nothing
names, and becomes an object in one SQLite transaction, which also records the events to publish.

One thing the real service doesn't have: a bucket created with the label `dss-local-deny` set to `read`,
`write` or `all` answers 403 to reads, writes or both of its objects, for tests of missing permissions.

Deliberately absent: object versioning, access control lists, customer keys, holds, batches. A bucket's
lifecycle rules are stored and returned, never carried out.
"""
