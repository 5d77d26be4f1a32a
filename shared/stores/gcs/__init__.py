"""Google Cloud Storage."""

from shared.stores.gcs.store import GoogleCloudStorage, open_client

__all__ = ["GoogleCloudStorage", "open_client"]
