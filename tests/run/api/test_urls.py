"""Signed URLs: those of a page are signed at once, as each may be a call to IAM."""

import threading
from functools import partial

from run.api.urls import SIGNED_AT_ONCE, UrlToSign, sign_all


def test_urls_are_signed_at_once_and_stay_in_order() -> None:
    together = threading.Barrier(SIGNED_AT_ONCE, timeout=30)

    def sign(number: int) -> str:
        together.wait()
        return f"https://store.example/{number}"

    urls: list[UrlToSign | None] = [partial(sign, number) for number in range(SIGNED_AT_ONCE)]
    urls.insert(3, None)

    signed = sign_all(urls, by_requests=True)

    assert signed.pop(3) is None
    assert signed == [f"https://store.example/{number}" for number in range(SIGNED_AT_ONCE)]
