"""What people can do at the pages. Each is an operation: limited, signed in and audited as all others are."""

from run.account.forms import FormBody
from run.api.contract import Operation
from run.browse.operations import page_operation
from shared.access import Action


def _page(name: str, path: str, needs: Action | None = None) -> Operation:
    return page_operation(f"account.{name}", path, needs=needs)


def _form(name: str, path: str, *fields: str, needs: Action | None = None, writes: bool = True) -> Operation:
    return page_operation(f"account.{name}", path, needs=needs, form=FormBody(*fields), writes=writes)


_SUBSCRIPTION = ("replica", "callback_url", "language", "query", "hmac_secret_key", "hmac_key_id", "once")
_COLLECTION = ("into", "name", "description", "once")
OPERATIONS = (
    _page("sign_in", "/sign-in"),
    _page("finish_sign_in", "/signed-in"),
    _form("sign_out", "/sign-out", writes=False),
    _page("me", "/me", Action.CALL),
    _page("list_subscriptions", "/subscriptions", Action.CONTRIBUTE),
    _form("subscribe", "/subscriptions", *_SUBSCRIPTION, needs=Action.CONTRIBUTE),
    _page("get_subscription", "/subscriptions/{uuid}", Action.CONTRIBUTE),
    _form("change_subscription", "/subscriptions/{uuid}", "action", "from", needs=Action.CONTRIBUTE),
    _page("list_collections", "/collections", Action.CONTRIBUTE),
    _page("choose_collection", "/collect", Action.CONTRIBUTE),
    _form("collect", "/collect", *_COLLECTION, needs=Action.CONTRIBUTE),
    _page("choose_format", "/manifests"),
    # What is made is noted where it is: the same selection again writes nothing.
    _form("make_manifest", "/manifests", "format", writes=False),
    _page("watch_manifest", "/manifests/{token}"),
    _page("choose_bucket", "/checkouts", Action.CALL),
    _form("check_out", "/checkouts", "bucket", needs=Action.CALL),
    _page("watch_checkout", "/checkouts/{job_id}"),
)
