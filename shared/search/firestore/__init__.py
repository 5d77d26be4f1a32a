"""Search on Firestore alone, for a named subset of the query language."""
