"""Google Cloud Storage on one machine: its wire protocol, over files and SQLite.

The server is strict: what it supports works exactly as in Google Cloud Storage, and anything else is 501. A
query parameter, path, method, property or `x-goog-*` header that it doesn't know is named in the error, so no
test passes on something that the real service would do differently.

A kill leaves either a whole object or none: content goes to a file that nothing refers to, and becomes an
object in one SQLite transaction, which also records the events to publish.

One extension: a bucket created with the label `dss-local-deny` set to `read`, `write` or `all` answers 403 to
reads, writes or both of its objects, for tests of missing permissions.

Deliberately absent: object versioning, access control lists, customer keys, holds, batches. A bucket's
lifecycle rules are stored and returned, but never applied.
"""
