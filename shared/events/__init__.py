"""Events: what became available on a replica, as documents, in a journal, and told to who listens."""
