"""How long it takes to sign the URLs of a page without a key: IAM is asked for each."""

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

from google.auth import iam
from google.auth.credentials import AnonymousCredentials

from run.api.urls import sign_all
from shared.stores import gcs
from shared.stores.gcs.signing import AccountSigner
from shared.wiring import IamSigningCredentials

_EMAIL = "signer@dss-local.iam.gserviceaccount.com"
_COUNTS = (100, 500)


@dataclass(frozen=True, kw_only=True)
class Signing:
    """So many URLs, and the seconds in which all of them are signed, and one after the other."""

    count: int
    seconds: float
    serially: float


def measure_signing(env: Mapping[str, str], milliseconds: float) -> list[Signing]:
    """Return how long IAM's signatures take, if each of its answers takes so many milliseconds.

    IAM is a function that waits: what a request to it costs the processor is not measured.
    """

    def answer(url: str, body: bytes, **_: Any) -> SimpleNamespace:
        del url, body
        time.sleep(milliseconds / 1000)
        signed = {"keyId": "1", "signedBlob": base64.b64encode(bytes(256)).decode()}
        return SimpleNamespace(status=200, data=json.dumps(signed).encode(), headers={})

    credentials = IamSigningCredentials(iam.Signer(answer, AnonymousCredentials(), _EMAIL), _EMAIL)
    with mock.patch.dict(os.environ, env):
        store = gcs.GoogleCloudStorage(gcs.open_client("dss-local"), AccountSigner(credentials, asks=True))
    sign = partial(store.sign_get, "bucket", "blobs/a", lifetime=timedelta(hours=1))
    return [_signed(sign, count) for count in _COUNTS]


def _signed(sign: Any, count: int) -> Signing:
    began = time.monotonic()
    sign_all([sign] * count, by_requests=True)
    parallel = time.monotonic()
    for _ in range(count):
        sign()
    return Signing(count=count, seconds=parallel - began, serially=time.monotonic() - parallel)
