"""Maps errors of Google Cloud Storage to the house's."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core import exceptions
from google.cloud.storage.exceptions import DataCorruption

from shared.errors import AccessDenied, InvalidChecksum, ObjectExists, ObjectNotFound, StoreError, Unavailable


@contextmanager
def translated(bucket: str, key: str) -> Iterator[None]:
    """Turn GCS's errors into the house's; only this function knows them."""
    url = f"gs://{bucket}/{key}" if key else f"gs://{bucket}"
    try:
        yield
    except exceptions.NotFound as error:
        raise ObjectNotFound(f"{url}: there is no such object") from error
    except exceptions.PreconditionFailed as error:
        raise ObjectExists(f"{url}: there is such an object already") from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise AccessDenied(f"{url}: access is denied") from error
    except exceptions.BadRequest as error:
        # GCS refuses content that differs from the checksum that came with it.
        if "crc32c" in error.message.lower() or "md5" in error.message.lower():
            raise InvalidChecksum(f"{url}: the content does not match its checksums") from error
        raise StoreError(f"{url}: {error.message}") from error
    except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError) as error:
        raise Unavailable(f"{url}: Google Cloud Storage does not answer as it should") from error
    except DataCorruption as error:
        raise Unavailable(f"{url}: it did not arrive intact") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unavailable(f"{url}: Google Cloud Storage cannot be reached") from error
    except exceptions.GoogleAPICallError as error:
        raise StoreError(f"{url}: {error.message}") from error
