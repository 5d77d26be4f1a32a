"""Token issuer: an OpenID provider that signs whatever it is asked to. For one machine, and nothing else.

python -m local.tokens --port N --keys DIRECTORY

GET  /.well-known/openid-configuration
GET  /.well-known/jwks.json
GET  /authorize                              sends back with a code: see local/sign_in.py
POST /token                                  JSON or form: see `token_request`, and `wanted_by_grant`
GET  /service_accounts/v1/jwk/{email}        as Google publishes a service account's keys
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import Flask, Response, jsonify, redirect, request
from werkzeug import Response as AnyResponse
from werkzeug.serving import run_simple

from local.claims import ISSUER_KEY_FILE, SERVICE_ACCOUNT_KEY_FILE, TOKEN_SECONDS, claims_of, signed
from local.keys import Key
from local.ports import HOST
from local.sign_in import GRANTS, BadGrant, sent_back, wanted_by_grant

# The second row is what OAuth clients send along; a stand-in has no use for it.
KNOWN_FIELDS = {
    *("email", "group", "ttl", "claims", "foreign_key"),
    *("grant_type", "client_id", "client_secret", "scope", "audience"),
}


class BadTokenRequest(Exception):
    """A token was asked for in a way that is not understood; the text says what is wrong."""


def token_request(fields: Mapping[str, Any], issuer: str) -> tuple[dict[str, Any], int, bool]:
    """Return the claims asked for, the token's seconds to live, and whether a foreign key is to sign them.

    Fields: `email`; `group` (text, or in JSON a list); `ttl` in seconds, negative for an expired token;
    `claims`, an object that replaces any claim, and removes those that are null; `foreign_key`, true for a
    signature by a key that the issuer doesn't publish. Raises BadTokenRequest.
    """
    unknown = sorted(set(fields) - KNOWN_FIELDS)
    if unknown:
        raise BadTokenRequest(f"unknown: {', '.join(unknown)}")
    email = fields.get("email")
    if not isinstance(email, str) or not email:
        raise BadTokenRequest("email is missing")
    try:
        ttl = int(fields.get("ttl", TOKEN_SECONDS))
        extra = fields.get("claims") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        changed = {**claims_of(issuer, email, fields.get("group"), ttl), **extra}
    except (TypeError, ValueError) as error:
        raise BadTokenRequest(f"ttl is a whole number, claims an object: {error}") from error
    foreign = str(fields.get("foreign_key", "")).lower() in ("true", "1")
    return {name: value for name, value in changed.items() if value is not None}, ttl, foreign


def create_app(issuer: str, issuer_key: Key, accounts: Mapping[str, Key]) -> Flask:
    """Return the provider at URL `issuer`; `accounts` are the service accounts whose keys it publishes."""
    app = Flask(__name__)

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Response:
        return jsonify(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            response_types_supported=["code", "id_token"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            claims_supported=["iss", "sub", "aud", "email", "email_verified", "group", "iat", "exp"],
        )

    @app.get("/.well-known/jwks.json")
    def keys() -> Response:
        return jsonify(keys=[issuer_key.jwk()])

    @app.get("/service_accounts/v1/jwk/<email>")
    def account_keys(email: str) -> tuple[Response, int]:
        if email not in accounts:
            return jsonify(error={"code": 404, "message": "Service account not found."}), 404
        return jsonify(keys=[accounts[email].jwk()]), 200

    @app.get("/authorize")
    def authorize() -> AnyResponse | tuple[Response, int]:
        try:
            return redirect(sent_back(request.args))
        except BadGrant as error:
            return jsonify(error="invalid_request", error_description=str(error)), 400

    @app.post("/token")
    def token() -> tuple[Response, int]:
        fields = request.get_json(silent=True) if request.is_json else request.form.to_dict()
        if not isinstance(fields, dict):
            return jsonify(
                error="invalid_request", error_description="a JSON object or a form is wanted"
            ), 400
        granted = fields.get("grant_type") in GRANTS
        try:
            wanted = wanted_by_grant(fields) if granted else fields
            claims, ttl, foreign = token_request(wanted, issuer)
        except (BadGrant, BadTokenRequest) as error:
            return jsonify(error="invalid_request", error_description=str(error)), 400
        text = signed(Key.new() if foreign else issuer_key, claims)
        answer = {"access_token": text, "id_token": text, "token_type": "Bearer", "expires_in": ttl}
        return jsonify({**answer, "refresh_token": wanted["email"]} if granted else answer), 200

    return app


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--keys", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
def main(port: int, keys: Path) -> None:
    """Serve the issuer at 127.0.0.1:PORT with the keys of a directory."""
    account = keys / SERVICE_ACCOUNT_KEY_FILE
    email = json.loads(account.read_text())["client_email"]
    app = create_app(f"http://{HOST}:{port}", Key.read(keys / ISSUER_KEY_FILE), {email: Key.read(account)})
    run_simple(HOST, port, app, threaded=True)


if __name__ == "__main__":
    main()
