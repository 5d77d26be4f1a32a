"""The keys that encrypt what only this system may read again: secrets of subscriptions, tokens of streams.

They are in the file of DSS_SECRETS_KEY_FILE, which only the API and the functions that sign can read. The
file has one key of Fernet (AES-128-CBC, HMAC-SHA-256) per line. The first one encrypts, and all decrypt: to
replace a key, add a new first line.
"""

import hashlib
from functools import cache
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet


@cache
def secret_keys(path: str) -> MultiFernet:
    """Return the keys of a file. Raises OSError if it can't be read, and ValueError if a line is no key."""
    return MultiFernet([Fernet(line) for line in Path(path).read_text().split()])


@cache
def key_id(path: str) -> str:
    """Return an id of the key that encrypts, which says nothing about it. Raises OSError, or ValueError."""
    first, *_ = Path(path).read_text().split()
    return hashlib.sha256(first.encode()).hexdigest()[:8]
