"""Token issuer: an OpenID provider that signs every request. For tests on one machine only.

python -m local.issuer.server --port N --keys DIRECTORY

GET  /.well-known/openid-configuration
GET  /.well-known/jwks.json
GET  /authorize, /device                     pages where people sign in: see local/issuer/sign_in.py
POST /token                                  JSON or form: see `token_request`, and local/issuer/sign_in.py
GET  /userinfo                               who the bearer of a token of the issuer is
GET  /other/.well-known/openid-configuration  a second OpenID provider, for tokens of the kind `other`
GET  /other/.well-known/jwks.json
GET  /google/certs                           as Google publishes its keys
GET  /tokeninfo?access_token=...             as Google tells whose an access token is
GET  /service_accounts/v1/jwk/{email}        as Google publishes a service account's keys
GET  /                                       as Google Cloud's metadata server answers pings
GET  /computeMetadata/v1/instance/service-accounts/default/
                                             as it tells whose the machine is; `token` and `identity` below
                                             it issue tokens
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jwt
from flask import Flask, Response, jsonify, request
from werkzeug.serving import run_simple

from local.issuer.access_tokens import AccessTokens
from local.issuer.claims import (
    IDENTITY_PATH,
    ISSUER_KEY_FILE,
    MACHINE_PATH,
    SERVICE_ACCOUNT_KEY_FILE,
    TOKEN_SECONDS,
    sign,
    token_claims,
)
from local.issuer.grants import Grants, SignIn
from local.issuer.keys import Key
from local.issuer.kinds import GOOGLE_KEYS_PATH, KINDS, OTHER_PATH, TOKEN_INFO_PATH, TokenRequest
from local.issuer.sign_in import GRANTS, SignInPages
from local.issuer.sign_in import Answer as SignInAnswer
from local.supervisor.ports import HOST

# Whose tokens the identity endpoint issues.
MACHINE_EMAIL = "workflows@example.org"
# The second row is what OAuth clients send along; it changes nothing here.
KNOWN_FIELDS = {
    *("kind", "email", "group", "ttl", "claims", "foreign_key"),
    *("grant_type", "client_id", "client_secret", "scope", "audience"),
}
_PERSONAL = ("sub", "email", "email_verified", "group")
Answer = Response | tuple[Response, int]


class BadTokenRequest(Exception):
    """A token request is malformed; the text says what is wrong."""


def token_request(
    fields: Mapping[str, Any], issuer: str, account: str
) -> tuple[TokenRequest, dict[str, Any], bool]:
    """Return the token that is wanted, its claims, and whether to sign by a foreign key.

    Fields: `kind` (see local/issuer/kinds.py); `email`; `group` (text, or in JSON a list); `ttl` in seconds,
    negative for an expired token; `claims`, an object that replaces any claim, and removes those that are
    null; `foreign_key`, true for a signature by a key that the issuer doesn't publish.

    Raises BadTokenRequest.
    """
    unknown = sorted(set(fields) - KNOWN_FIELDS)
    if unknown:
        raise BadTokenRequest(f"unknown: {', '.join(unknown)}")
    kind, email = fields.get("kind", "own"), fields.get("email")
    if kind not in KINDS:
        raise BadTokenRequest(f"kind must be one of {', '.join(KINDS)}")
    if not isinstance(email, str) or not email:
        raise BadTokenRequest("email is missing")
    try:
        ttl = int(fields.get("ttl", TOKEN_SECONDS))
        wanted = TokenRequest(
            kind=kind, issuer=issuer, account=account, email=email, group=fields.get("group"), ttl=ttl
        )
        extra = fields.get("claims") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        changed = {**wanted.claims(), **extra}
    except (TypeError, ValueError) as error:
        raise BadTokenRequest(f"ttl must be a whole number, claims an object: {error}") from error
    foreign = str(fields.get("foreign_key", "")).lower() in ("true", "1")
    return wanted, {name: value for name, value in changed.items() if value is not None}, foreign


class Provider:
    """The handlers of the provider at URL `issuer`.

    `accounts` are service accounts with published keys; the first signs tokens of the kind `service-account`.
    """

    def __init__(self, issuer: str, issuer_key: Key, accounts: Mapping[str, Key], grants: Grants) -> None:
        self._issuer = issuer
        self._issuer_key = issuer_key
        self._other_key = Key.new()
        self._google_key = Key.new()
        self._accounts = accounts
        self._access_tokens = AccessTokens()
        self.sign_in = SignInPages(issuer, grants, self._tokens_of)

    def configuration(self) -> Response:
        """Return the discovery document."""
        return self._configuration(self._issuer)

    def other_configuration(self) -> Response:
        """Return the discovery document of the second provider."""
        return self._configuration(self._issuer + OTHER_PATH)

    def _configuration(self, issuer: str) -> Response:
        return jsonify(
            issuer=issuer,
            **self.sign_in.configuration(),
            userinfo_endpoint=f"{self._issuer}/userinfo",
            token_endpoint=f"{self._issuer}/token",
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            response_types_supported=["code", "id_token"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            claims_supported=["iss", "sub", "aud", "email", "email_verified", "group", "iat", "exp"],
        )

    def keys(self) -> Response:
        """Return the issuer's public keys."""
        return jsonify(keys=[self._issuer_key.jwk()])

    def other_keys(self) -> Response:
        """Return the public keys of the second provider."""
        return jsonify(keys=[self._other_key.jwk()])

    def google_keys(self) -> Response:
        """Return what stands for Google's public keys."""
        return jsonify(keys=[self._google_key.jwk()])

    def token_info(self) -> Answer:
        """Tell whose an access token is."""
        info = self._access_tokens.info(request.values.get("access_token", ""))
        if info is None:
            return jsonify(error="invalid_token", error_description="Invalid Value"), 400
        return jsonify(info)

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

    def ping(self) -> Answer:
        """Answer as the metadata server, by which Google's libraries know where they are."""
        return Response("computeMetadata/\n", headers={"Metadata-Flavor": "Google"})

    def machine(self) -> Answer:
        """Return which service account this machine has."""
        return jsonify(email=MACHINE_EMAIL, aliases=["default"], scopes=["openid", "email"])

    def machine_token(self) -> Answer:
        """Return an opaque access token of this machine."""
        wanted = TokenRequest(kind="access", issuer=self._issuer, account="", email=MACHINE_EMAIL)
        token = self._access_tokens.issue(wanted.claims())
        return jsonify(access_token=token, expires_in=TOKEN_SECONDS, token_type="Bearer")

    def user_info(self) -> Answer:
        """Return the claims of the bearer's token about the person (OpenID Connect Core 1.0, 5.3)."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            said = jwt.decode(
                token, self._issuer_key.private.public_key(), ["RS256"], options={"verify_aud": False}
            )
        except jwt.PyJWTError as error:
            return jsonify(error="invalid_token", error_description=str(error)), 401
        return jsonify({name: said[name] for name in _PERSONAL if name in said})

    def _tokens_of(self, sign_in: SignIn) -> dict[str, Any]:
        """Return the tokens of a person who has signed in."""
        person = sign_in.person
        claims = token_claims(self._issuer, person.email, person.group, person.seconds)
        # No two tokens are the same, not even within a second.
        claims["jti"] = secrets.token_hex(8)
        nonce = {} if sign_in.nonce is None else {"nonce": sign_in.nonce}
        return {
            "access_token": sign(self._issuer_key, claims),
            "id_token": sign(self._issuer_key, {**claims, **nonce}),
            "token_type": "Bearer",
            "expires_in": person.seconds,
            # oauthlib refuses an answer with other scopes than it asked for.
            "scope": sign_in.scope,
        }

    def token(self) -> SignInAnswer:
        """Issue a token."""
        fields = request.get_json(silent=True) if request.is_json else request.form.to_dict()
        if not isinstance(fields, dict):
            return _invalid("the body must be a JSON object or a form")
        if fields.get("grant_type") in GRANTS:
            return self.sign_in.token(fields)
        try:
            wanted, claims, foreign = token_request(fields, self._issuer, next(iter(self._accounts)))
        except BadTokenRequest as error:
            return _invalid(str(error))
        text = self._token(wanted.kind, claims, foreign=foreign)
        return jsonify(access_token=text, id_token=text, token_type="Bearer", expires_in=wanted.ttl)

    def _token(self, kind: str, claims: Mapping[str, Any], *, foreign: bool) -> str:
        if kind == "access":
            return self._access_tokens.issue(claims)
        keys = {
            "other": self._other_key,
            "google": self._google_key,
            "service-account": next(iter(self._accounts.values())),
        }
        return sign(Key.new() if foreign else keys.get(kind, self._issuer_key), claims)


def _invalid(description: str) -> Answer:
    return jsonify(error="invalid_request", error_description=description), 400


def create_app(
    issuer: str, issuer_key: Key, accounts: Mapping[str, Key], grants: Grants | None = None
) -> Flask:
    """Return the application of the provider at URL `issuer`; see Provider."""
    app = Flask(__name__)
    provider = Provider(issuer, issuer_key, accounts, grants or Grants())
    provider.sign_in.install(app)
    app.get("/.well-known/openid-configuration")(provider.configuration)
    app.get("/.well-known/jwks.json")(provider.keys)
    app.get(f"{OTHER_PATH}/.well-known/openid-configuration")(provider.other_configuration)
    app.get(f"{OTHER_PATH}/.well-known/jwks.json")(provider.other_keys)
    app.get(GOOGLE_KEYS_PATH)(provider.google_keys)
    app.route(TOKEN_INFO_PATH, methods=["GET", "POST"])(provider.token_info)
    app.get("/service_accounts/v1/jwk/<email>")(provider.account_keys)
    app.get(MACHINE_PATH)(provider.machine)
    app.get(f"{MACHINE_PATH}token")(provider.machine_token)
    app.get(IDENTITY_PATH)(provider.identity)
    app.get("/")(provider.ping)
    app.get("/userinfo")(provider.user_info)
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
