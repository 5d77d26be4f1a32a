"""Which pages there are. Each is an operation: limited, signed in and audited as those of the contract.

Pages read their query themselves, by `run.browse.state` and `run.browse.parameters`: parameters may come
several times, and unknown ones are errors.
"""

from dataclasses import replace

from run.api.contract import Operation, compile_operation

# Of all pages, and of nothing else.
HOME = "/browse"


def _page(name: str, path: str) -> Operation:
    names = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    declared = {
        "operationId": f"browse.{name}",
        "parameters": [{"name": each, "in": "path", "type": "string", "required": True} for each in names],
        "responses": {"200": {}},
    }
    compiled = compile_operation("", f"{HOME}{path}", "get", declared, needs=None, body=None, writes=False)
    return replace(compiled, reads_query=True)


OPERATIONS = (
    _page("home", ""),
    _page("list_entities", "/{entity_type}"),
    _page("list_bundles", "/store"),
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
