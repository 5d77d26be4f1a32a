"""What people do at the pages, for the table of docs/access.md: a request for each row of it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import requests

from tests.support.api import new_uuid

if TYPE_CHECKING:
    from tests.support.access_world import Ask

# What shows that a form is of a page that this browser has open.
_FORM_KEY = {"Cookie": "dss-form=key-of-the-matrix"}


def _send_form(ask: "Ask", path: str, **fields: str) -> requests.Response:
    """Return the answer to a form of the pages."""
    return ask.api.post(path, data={**fields, "dss-form": "key-of-the-matrix"}, headers=_FORM_KEY)


def _subscribe_by_form(ask: "Ask") -> requests.Response:
    url = "https://subscriber.example.org/hook"
    return _send_form(ask, "/browse/subscriptions", replica="gcp", callback_url=url, once=new_uuid())


def _sample_by_form(ask: "Ask") -> requests.Response:
    path = f"/browse/subscriptions/{ask.world.new_subscription()}?replica=gcp"
    return _send_form(ask, path, action="test")


def _collect(ask: "Ask") -> requests.Response:
    bundle = ask.target.bundle
    path = f"/browse/collect?type=bundle&uuid={bundle.uuid}&version={bundle.version}&replica={ask.replica}"
    return _send_form(ask, path, name="name", once=new_uuid())


def _watch_manifest(ask: "Ask") -> requests.Response:
    made = _send_form(ask, "/browse/manifests", format="compact")
    return ask.api.get(made.headers["Location"])


def _checkouts(ask: "Ask") -> str:
    bundle = ask.target.bundle
    return f"/browse/checkouts?uuid={bundle.uuid}&version={bundle.version}&replica={ask.replica}"


ACCOUNT_CALLS: Mapping[str, Callable[["Ask"], requests.Response]] = {
    "account.sign_in": lambda ask: ask.api.get("/browse/sign-in"),
    "account.finish_sign_in without a sign-in that has begun": lambda ask: ask.api.get(
        "/browse/signed-in", code="code", state="state"
    ),
    "account.sign_out": lambda ask: _send_form(ask, "/browse/sign-out"),
    "account.me": lambda ask: ask.api.get("/browse/me"),
    "account.list_subscriptions": lambda ask: ask.api.get("/browse/subscriptions"),
    "account.subscribe": _subscribe_by_form,
    "account.get_subscription": lambda ask: ask.api.get(
        f"/browse/subscriptions/{ask.world.new_subscription()}", replica="gcp"
    ),
    "account.change_subscription to a sample": _sample_by_form,
    "account.list_collections": lambda ask: ask.api.get("/browse/collections"),
    "account.choose_collection for a selection": lambda ask: ask.api.get("/browse/collect?q="),
    "account.collect the bundle": _collect,
    "account.choose_format": lambda ask: ask.api.get("/browse/manifests"),
    "account.make_manifest": lambda ask: _send_form(ask, "/browse/manifests", format="compact"),
    "account.watch_manifest": _watch_manifest,
    "account.choose_bucket": lambda ask: ask.api.get(_checkouts(ask)),
    "account.check_out": lambda ask: _send_form(ask, _checkouts(ask), bucket=ask.world.bucket),
    "account.watch_checkout": lambda ask: ask.api.get(
        f"/browse/checkouts/{ask.target.job}", replica=ask.replica
    ),
}
