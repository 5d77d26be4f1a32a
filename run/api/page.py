"""The page at `/api`: Swagger UI, which shows every operation and lets a person try each.

It loads its own form of the contract: old clients generate their commands from `swagger.json`, which has no
tags and another sign-in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import swagger_ui_bundle
from flask import Flask, Response, redirect, send_from_directory

from run.api.clients import base_url
from run.api.contract import Contract
from run.api.pagination import answer
from run.api.security_headers import page_policy
from shared.config import Settings

PAGE = "/api"
CONTRACT_OF_PAGE = "/page/swagger.json"
# The replica of a page's requests, until a person chooses another.
_REPLICA = "gcp"
# The name that Swagger UI shows for the sign-in.
_SIGN_IN = "token"
# Groups in their order on the page, by the first word of their operations' ids; others follow.
_GROUPS = {
    "search": "Find bundles by the content of their JSON files",
    "files": "Read and add files",
    "bundles": "List, read, add, change and delete bundles",
    "checkout": "Copy a bundle into a bucket",
    "collections": "Keep lists of links",
    "subscriptions": "Be notified of events",
    "events": "Read what has happened",
    "drs": "GA4GH Data Repository Service",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data Storage System</title>
<link rel="stylesheet" href="/assets/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/assets/swagger-ui-bundle.js"></script>
<script src="/assets/swagger-ui-standalone-preset.js"></script>
<script>SCRIPT</script>
</body>
</html>
"""
# A person pastes a token; the API wants its scheme before it.
_SCRIPT = f"""
function withScheme(request) {{
  const token = (request.headers.Authorization || "").trim();
  if (token) request.headers.Authorization = /^bearer\\s/i.test(token) ? token : "Bearer " + token;
  return request;
}}
SwaggerUIBundle({{url: "{CONTRACT_OF_PAGE}", dom_id: "#api", deepLinking: true, validatorUrl: null,
                 requestInterceptor: withScheme,
                 presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset]}});
"""


def install(app: Flask, settings: Settings, contract: Contract, *, front: str) -> None:
    """Add the page, its assets, and the contract that it shows; `/` leads to the page `front`."""
    assets = Path(swagger_ui_bundle.swagger_ui_path)

    def page() -> Response:
        response = Response(_PAGE.replace("SCRIPT", _SCRIPT), mimetype="text/html")
        response.headers["Content-Security-Policy"] = page_policy(_SCRIPT)
        return response

    def shown() -> Response:
        scheme, _, host = base_url(settings).partition("://")
        return answer(contract_of_page(contract.served_at(scheme, host)))

    app.add_url_rule("/", "front", lambda: redirect(front))
    app.add_url_rule(PAGE, "page", page)
    app.add_url_rule("/assets/<path:name>", "assets", lambda name: send_from_directory(assets, name))
    app.add_url_rule(CONTRACT_OF_PAGE, "contract_of_page", shown)


def contract_of_page(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a contract with a group for each operation, one sign-in for all, and `gcp` as replica."""
    paths = {
        path: {method: _shown(operation) for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    found = {operation["tags"][0] for methods in paths.values() for operation in methods.values()}
    definition = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Paste a token, with or without `Bearer` before it.",
    }
    return {
        **document,
        "securityDefinitions": {_SIGN_IN: definition},
        "tags": [{"name": name, "description": text} for name, text in _GROUPS.items() if name in found],
        "paths": paths,
    }


def _shown(operation: Mapping[str, Any]) -> dict[str, Any]:
    # Who may read managed data proves it by a token, also where the contract asks for none.
    sign_in: list[dict[str, list[str]]] = [{_SIGN_IN: []}]
    if operation.get("x-signed"):
        sign_in = []
    elif not operation.get("security"):
        sign_in.append({})
    return {
        **operation,
        "tags": [operation["operationId"].partition(".")[0]],
        "security": sign_in,
        "parameters": [
            {"default": _REPLICA, **parameter} if parameter["name"] == "replica" else parameter
            for parameter in operation["parameters"]
        ],
    }
