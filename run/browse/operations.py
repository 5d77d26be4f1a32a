"""Which pages there are. Each is an operation: limited, signed in and audited as those of the contract.

Pages read their query themselves, by `run.browse.state` and `run.browse.parameters`: parameters may come
several times, and unknown ones are errors.
"""

from dataclasses import replace

from run.api.contract import Operation, RequestBody, compile_operation
from shared.access import Action

# Of all pages, and of nothing else.
HOME = "/browse"


def page_operation(
    operation_id: str,
    path: str,
    *,
    needs: Action | None = None,
    form: RequestBody | None = None,
    writes: bool = False,
) -> Operation:
    """Return the operation of a page at a path below HOME; with `form`, of what one sends from a page."""
    names = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    declared = {
        "operationId": operation_id,
        "parameters": [{"name": each, "in": "path", "type": "string", "required": True} for each in names],
        "responses": {"200": {}},
    }
    method = "post" if form else "get"
    compiled = compile_operation("", f"{HOME}{path}", method, declared, needs=needs, body=form, writes=writes)
    return replace(compiled, reads_query=True)


def _page(name: str, path: str) -> Operation:
    return page_operation(f"browse.{name}", path)


OPERATIONS = (
    _page("home", ""),
    _page("list_entities", "/{entity_type}"),
    _page("list_bundles", "/store"),
    _page("status", "/status"),
    _page("get_run", "/status/runs/{run_id}"),
    _page("grow", "/growth"),
    _page("draw", "/charts/{entity_type}"),
    _page("list_values", "/{entity_type}/values/{field}"),
    _page("get_entity", "/{entity_type}/{entity_id}"),
    _page("get_bundle", "/bundles/{uuid}"),
    _page("compare", "/bundles/{uuid}/changes"),
    _page("get_file", "/files/{uuid}"),
    _page("get_content", "/files/{uuid}/content"),
    _page("get_image", "/files/{uuid}/image"),
    _page("get_collection", "/collections/{uuid}"),
)
