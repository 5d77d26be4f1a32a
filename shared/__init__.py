"""The domain of the Data Storage System, used by `run/` and `functions/` and knowing nothing of either.

Only `shared.stores` speaks to object stores and only `shared.catalog` speaks to Firestore.
"""
