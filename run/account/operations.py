"""What people can do at the pages. Each is an operation: limited, signed in and audited as all others are."""

from dataclasses import replace

from run.account.forms import FormBody
from run.api.contract import Operation, compile_operation
from run.browse.operations import HOME
from shared.access import Action


def _operation(
    name: str, path: str, *, needs: Action | None = None, form: FormBody | None = None, writes: bool = True
) -> Operation:
    names = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    declared = {
        "operationId": f"account.{name}",
        "parameters": [{"name": each, "in": "path", "type": "string", "required": True} for each in names],
        "responses": {"200": {}},
    }
    compiled = compile_operation(
        "",
        f"{HOME}{path}",
        "post" if form else "get",
        declared,
        needs=needs,
        body=form,
        writes=writes and form is not None,
    )
    return replace(compiled, reads_query=True)


_SUBSCRIPTION = ("replica", "callback_url", "language", "query", "hmac_secret_key", "hmac_key_id", "once")
OPERATIONS = (
    _operation("sign_in", "/sign-in"),
    _operation("finish_sign_in", "/signed-in"),
    _operation("sign_out", "/sign-out", form=FormBody(), writes=False),
    _operation("me", "/me", needs=Action.CALL),
    _operation("list_subscriptions", "/subscriptions", needs=Action.CONTRIBUTE),
    _operation("subscribe", "/subscriptions", needs=Action.CONTRIBUTE, form=FormBody(*_SUBSCRIPTION)),
    _operation("get_subscription", "/subscriptions/{uuid}", needs=Action.CONTRIBUTE),
    _operation(
        "change_subscription",
        "/subscriptions/{uuid}",
        needs=Action.CONTRIBUTE,
        form=FormBody("action", "from"),
    ),
    _operation("list_collections", "/collections", needs=Action.CONTRIBUTE),
    _operation("choose_collection", "/collect", needs=Action.CONTRIBUTE),
    _operation(
        "collect",
        "/collect",
        needs=Action.CONTRIBUTE,
        form=FormBody("into", "name", "description", "once"),
    ),
    _operation("choose_format", "/manifests"),
    # What is made is noted where it is: the same selection again writes nothing.
    _operation("make_manifest", "/manifests", form=FormBody("format"), writes=False),
    _operation("watch_manifest", "/manifests/{token}"),
    _operation("choose_bucket", "/checkouts", needs=Action.CALL),
    _operation("check_out", "/checkouts", needs=Action.CALL, form=FormBody("bucket")),
    _operation("watch_checkout", "/checkouts/{job_id}"),
)
