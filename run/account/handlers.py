"""The operations of what people do at the pages.

A form that is right leads to the page of what it did (303), so that to load a page again repeats nothing. One
that is not is shown again, with what is wrong.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode
from uuid import uuid4

from flask import Response, redirect, request

from run.account import checkouts, collections, manifests, subscriptions
from run.account import sign_in as signing_in
from run.account.forms import Form, needed
from run.account.selections import Selection, count_of
from run.account.who_am_i import who_am_i
from run.api.call import Call
from run.api.errors import status_of
from run.browse.operations import HOME
from run.browse.parameters import Parameters
from run.browse.rendering import page
from run.browse.sessions import end_session
from shared.errors import (
    DssError,
    Forbidden,
    IllegalArguments,
    NotAcceptable,
    PreconditionFailed,
    Unprocessable,
)


def sign_in(call: Call) -> Response:
    """Lead the browser to where people sign in."""
    return signing_in.begin(call)


def finish_sign_in(call: Call) -> Response:
    """Begin a session."""
    return signing_in.finish(call)


def sign_out(call: Call, *, json_request_body: Form) -> Response:
    """End the session of this browser."""
    del json_request_body
    response = _see_other(HOME)
    end_session(response, call.dss.settings)
    return response


def me(call: Call) -> Response:
    """Show who has signed in, and what that allows."""
    Parameters.read(request.args)
    return page("me.html", **vars(who_am_i(call)))


def list_subscriptions(call: Call) -> Response:
    """Show the caller's subscriptions, and the form of a new one."""
    Parameters.read(request.args)
    return _subscriptions(call, {}, None)


def subscribe(call: Call, *, json_request_body: Form) -> Response:
    """Make a subscription, and show it."""
    Parameters.read(request.args)
    return _done_or_shown_again(
        lambda: subscriptions.subscribe(call, json_request_body),
        lambda problem: _subscriptions(call, json_request_body, problem),
    )


def get_subscription(call: Call, *, uuid: str) -> Response:
    """Show a subscription, and its deliveries."""
    given = Parameters.read(request.args, "replica", "after")
    return _subscription(call, uuid, given.text("replica"), given.text("after"), {}, None)


def change_subscription(call: Call, *, uuid: str, json_request_body: Form) -> Response:
    """Delete a subscription, send it a sample, or send all again that it has matched."""
    replica = Parameters.read(request.args, "replica").text("replica")
    return _done_or_shown_again(
        lambda: subscriptions.change(call, uuid, replica, json_request_body),
        lambda problem: _subscription(call, uuid, replica, "", json_request_body, problem),
    )


def list_collections(call: Call) -> Response:
    """Show the caller's collections."""
    start = Parameters.read(request.args, "start").number("start")
    own, more = collections.own(call, start)
    return page(
        "collections.html",
        collections=own,
        next=start + collections.MOST_LISTED if more else 0,
        collect=collections.COLLECT,
        here=collections.PATH,
    )


def choose_collection(call: Call) -> Response:
    """Show what can be collected, and where."""
    return _collections(call, collections.collected(call), {}, None)


def collect(call: Call, *, json_request_body: Form) -> Response:
    """Add to a collection, or make one, and show it."""
    what = collections.collected(call)
    return _done_or_shown_again(
        lambda: collections.collect(call, what, json_request_body),
        lambda problem: _collections(call, what, json_request_body, problem),
    )


def choose_format(call: Call) -> Response:
    """Show what can be taken of a selection, in which formats."""
    return _formats(call, Selection.read(call), None)


def make_manifest(call: Call, *, json_request_body: Form) -> Response:
    """Have a manifest made, and show how far it is."""
    selection = Selection.read(call)
    return _done_or_shown_again(
        lambda: manifests.begin(call, selection, needed(json_request_body, "format", "Format")),
        lambda problem: _formats(call, selection, problem),
    )


def watch_manifest(call: Call, *, token: str) -> Response:
    """Show how far a manifest is, or where."""
    Parameters.read(request.args)
    return page("manifest.html", manifest=manifests.watch(call, token), purposes=manifests.FORMATS)


def choose_bucket(call: Call) -> Response:
    """Show how to check out a bundle into a bucket."""
    return _buckets(call, checkouts.wanted(call), {}, None)


def check_out(call: Call, *, json_request_body: Form) -> Response:
    """Begin a checkout, and show how far it is."""
    what = checkouts.wanted(call)
    return _done_or_shown_again(
        lambda: checkouts.begin(call, what, needed(json_request_body, "bucket", "Bucket")),
        lambda problem: _buckets(call, what, json_request_body, problem),
    )


def watch_checkout(call: Call, *, job_id: str) -> Response:
    """Show how far a checkout is."""
    given = Parameters.read(request.args, "replica")
    replica = given.text("replica") or call.dss.replicas.primary.name
    return page("checkout.html", job=checkouts.status(call, job_id, replica), job_id=job_id)


def _done_or_shown_again(act: Callable[[], str], show: Callable[[DssError], Response]) -> Response:
    """Return what leads to the page that an act returns; what is wrong with a form is shown with the form."""
    try:
        return _see_other(act())
    except (IllegalArguments, Unprocessable, NotAcceptable, Forbidden, PreconditionFailed) as error:
        problem = error
    response = show(problem)
    response.status_code = status_of(problem)
    return response


def _see_other(path: str) -> Response:
    response = redirect(path, 303)
    assert isinstance(response, Response)
    return response


def _subscriptions(call: Call, form: Form, problem: DssError | None) -> Response:
    return page(
        "subscriptions.html",
        subscriptions=subscriptions.own(call),
        url_of=subscriptions.url_of,
        replicas=call.dss.replicas.names,
        languages=subscriptions.LANGUAGES,
        signs=bool(call.dss.settings.secrets_key_file),
        once=str(uuid4()),
        form=form,
        problem=problem,
        here=subscriptions.PATH,
    )


def _subscription(
    call: Call, uuid: str, replica: str, after: str, form: Form, problem: DssError | None
) -> Response:
    found = subscriptions.find(call, uuid, replica)
    return page(
        "subscription.html",
        subscription=found,
        deliveries=subscriptions.deliveries(call, uuid, replica, after),
        list=subscriptions.PATH,
        here=subscriptions.url_of(uuid, replica),
        after=after,
        form=form,
        problem=problem,
        bundle_url=_bundle_url,
    )


def _bundle_url(match: Mapping[str, str], replica: str) -> str:
    query = urlencode({"version": match["bundle_version"], "replica": replica})
    return f"{HOME}/bundles/{match['bundle_uuid']}?{query}"


def _collections(call: Call, what: collections.Collected, form: Form, problem: DssError | None) -> Response:
    own, more = collections.own(call, 0)
    return page(
        "collect.html",
        what=what,
        collections=own,
        more=more,
        once=str(uuid4()),
        form=form,
        problem=problem,
        new=collections.NEW,
        here=request.full_path.rstrip("?"),
    )


def _formats(call: Call, selection: Selection, problem: DssError | None) -> Response:
    return page(
        "formats.html",
        files=count_of(call, selection, "files"),
        chips=selection.chips,
        catalogue=selection.catalogue,
        formats=manifests.FORMATS,
        back=selection.url("/files"),
        here=selection.url("/manifests"),
        problem=problem,
    )


def _buckets(call: Call, what: checkouts.Wanted, form: Form, problem: DssError | None) -> Response:
    return page(
        "buckets.html",
        what=what,
        line=checkouts.proof_line(what, call.identify().email),
        here=f"{checkouts.PATH}?{what.query}",
        form=form,
        problem=problem,
    )
