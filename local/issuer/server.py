"""Token issuer: an OpenID provider that signs every request. For tests on one machine only.

python -m local.issuer.server --port N --keys DIRECTORY

GET  /.well-known/openid-configuration
GET  /.well-known/jwks.json
GET  /authorize                              redirects back with a code: see local/issuer/sign_in.py
POST /token                                  JSON or form: see `token_request` and `fields_of_grant`
GET  /service_accounts/v1/jwk/{email}        as Google publishes a service account's keys
GET  /computeMetadata/v1/instance/service-accounts/default/identity
                                             as Google Cloud's metadata server issues tokens
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import Flask, Response, jsonify, redirect, request
from werkzeug import Response as AnyResponse
from werkzeug.serving import run_simple

from local.issuer.claims import (
    IDENTITY_PATH,
    ISSUER_KEY_FILE,
    SERVICE_ACCOUNT_KEY_FILE,
    TOKEN_SECONDS,
    sign,
    token_claims,
)
from local.issuer.keys import Key
from local.issuer.sign_in import GRANTS, BadGrant, fields_of_grant, redirect_url
from local.supervisor.ports import HOST

# Whose tokens the identity endpoint issues.
MACHINE_EMAIL = "workflows@example.org"
# The second row is what OAuth clients send along; it changes nothing here.
KNOWN_FIELDS = {
    *("email", "group", "ttl", "claims", "foreign_key"),
    *("grant_type", "client_id", "client_secret", "scope", "audience"),
}
Answer = Response | tuple[Response, int]


class BadTokenRequest(Exception):
    """A token request is malformed; the text says what is wrong."""


def token_request(fields: Mapping[str, Any], issuer: str) -> tuple[dict[str, Any], int, bool]:
    """Return the requested claims, the seconds until the token expires, and whether to sign by a foreign key.

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
        changed = {**token_claims(issuer, email, fields.get("group"), ttl), **extra}
    except (TypeError, ValueError) as error:
        raise BadTokenRequest(f"ttl must be a whole number, claims an object: {error}") from error
    foreign = str(fields.get("foreign_key", "")).lower() in ("true", "1")
    return {name: value for name, value in changed.items() if value is not None}, ttl, foreign


class Provider:
    """The handlers of the provider at URL `issuer`; `accounts` are service accounts with published keys."""

    def __init__(self, issuer: str, issuer_key: Key, accounts: Mapping[str, Key]) -> None:
        self._issuer = issuer
        self._issuer_key = issuer_key
        self._accounts = accounts

    def configuration(self) -> Response:
        """Return the discovery document."""
        return jsonify(
            issuer=self._issuer,
            authorization_endpoint=f"{self._issuer}/authorize",
            token_endpoint=f"{self._issuer}/token",
            jwks_uri=f"{self._issuer}/.well-known/jwks.json",
            response_types_supported=["code", "id_token"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            claims_supported=["iss", "sub", "aud", "email", "email_verified", "group", "iat", "exp"],
        )

    def keys(self) -> Response:
        """Return the issuer's public keys."""
        return jsonify(keys=[self._issuer_key.jwk()])

    def account_keys(self, email: str) -> Answer:
        """Return a service account's public keys."""
        if email not in self._accounts:
            return jsonify(error={"code": 404, "message": "Service account not found."}), 404
        return jsonify(keys=[self._accounts[email].jwk()])

    def identity(self) -> tuple[str, int]:
        """Return a token of this machine for an audience."""
        # https://cloud.google.com/docs/authentication/get-id-token#metadata-server
        if request.headers.get("Metadata-Flavor") != "Google" or not request.args.get("audience"):
            return "the header Metadata-Flavor: Google and the parameter audience are required", 400
        claims = {**token_claims(self._issuer, MACHINE_EMAIL), "aud": request.args["audience"]}
        return sign(self._issuer_key, claims), 200

    def authorize(self) -> AnyResponse | Answer:
        """Sign in without a page, and redirect back."""
        try:
            return redirect(redirect_url(request.args))
        except BadGrant as error:
            return _invalid(str(error))

    def token(self) -> Answer:
        """Issue a token."""
        fields = request.get_json(silent=True) if request.is_json else request.form.to_dict()
        if not isinstance(fields, dict):
            return _invalid("the body must be a JSON object or a form")
        by_grant = fields.get("grant_type") in GRANTS
        try:
            fields = fields_of_grant(fields) if by_grant else fields
            claims, ttl, foreign = token_request(fields, self._issuer)
        except (BadGrant, BadTokenRequest) as error:
            return _invalid(str(error))
        text = sign(Key.new() if foreign else self._issuer_key, claims)
        answer = {"access_token": text, "id_token": text, "token_type": "Bearer", "expires_in": ttl}
        return jsonify({**answer, "refresh_token": fields["email"]} if by_grant else answer)


def _invalid(description: str) -> Answer:
    return jsonify(error="invalid_request", error_description=description), 400


def create_app(issuer: str, issuer_key: Key, accounts: Mapping[str, Key]) -> Flask:
    """Return the application of the provider at URL `issuer`; see Provider."""
    app = Flask(__name__)
    provider = Provider(issuer, issuer_key, accounts)
    app.get("/.well-known/openid-configuration")(provider.configuration)
    app.get("/.well-known/jwks.json")(provider.keys)
    app.get("/service_accounts/v1/jwk/<email>")(provider.account_keys)
    app.get(IDENTITY_PATH)(provider.identity)
    app.get("/authorize")(provider.authorize)
    app.post("/token")(provider.token)
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
