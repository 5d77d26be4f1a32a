"""MD5, SHA-1 and SHA-256 whose state can be stored, so that another process continues the hash.

`hashlib` has no such thing, and rehash on PyPI (1.0.1) refuses OpenSSL 3. OpenSSL's own `SHA256_Update` and
the like work on a plain struct of the caller's; they are deprecated, not gone, and use the same assembly.
"""

import _hashlib
import ctypes
import ctypes.util
from functools import cache
from typing import Any

from shared.errors import StoreError

# Bytes of OpenSSL's structs MD5_CTX, SHA_CTX and SHA256_CTX (openssl/md5.h, openssl/sha.h), and of digests.
_SIZES = {"MD5": (92, 16), "SHA1": (96, 20), "SHA256": (112, 32)}


class ResumableHash:
    """A hash of bytes; `algorithm` is MD5, SHA1 or SHA256. Raises StoreError without OpenSSL.

    `state` is what another hash of the algorithm returned as its state, or empty for a new hash. Raises
    ValueError if it is of another size.
    """

    def __init__(self, algorithm: str, state: bytes = b"") -> None:
        self._algorithm = algorithm
        size, self._digest_size = _SIZES[algorithm]
        self._context = ctypes.create_string_buffer(size)
        if state and len(state) != size:
            raise ValueError(f"state: {len(state)} bytes are not the state of {algorithm}, which has {size}")
        if state:
            ctypes.memmove(self._context, state, size)
        else:
            _function(algorithm, "Init")(self._context)

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        _function(self._algorithm, "Update")(self._context, data, ctypes.c_size_t(len(data)))

    def state(self) -> bytes:
        """Return what continues this hash when it is passed to the constructor."""
        return self._context.raw

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""
        # OpenSSL's final call destroys the state that it works on.
        context = ctypes.create_string_buffer(self._context.raw, len(self._context))
        digest = ctypes.create_string_buffer(self._digest_size)
        _function(self._algorithm, "Final")(digest, context)
        return digest.raw


@cache
def _function(algorithm: str, name: str) -> Any:
    for path in (getattr(_hashlib, "__file__", None), ctypes.util.find_library("crypto")):
        # Python's own module is linked to the OpenSSL whose functions are looked up through it.
        function = getattr(ctypes.CDLL(path), f"{algorithm}_{name}", None) if path else None
        if function is not None:
            return function
    raise StoreError(f"OpenSSL has no {algorithm}_{name} here: large objects cannot be verified in steps")
