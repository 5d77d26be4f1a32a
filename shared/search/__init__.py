"""Search: the query language and its meaning, indexed documents, and the protocol of back ends."""
