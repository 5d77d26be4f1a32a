"""Sign-in at the token issuer, as command lines and browsers make people do it.

GET  /authorize             a page; `login_hint` signs that person in without it
POST /authorize             what the person decided: redirects back with a code, or with access_denied
POST /device_authorization  a code for a device without a browser (RFC 8628)
GET  /device                the page where a person enters it
POST /device                what the person decided
POST /revoke                ends a sign-in (RFC 7009)

The code is exchanged, with PKCE's verifier if it was asked for with a challenge (S256), at `/token`.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, jsonify, redirect, request
from werkzeug import Response as AnyResponse

from local.config import WRITE_GROUP
from local.issuer.claims import AUDIENCE, TOKEN_SECONDS
from local.issuer.grants import DEVICE_INTERVAL, DEVICE_SECONDS, BadGrant, Grants, Person, SignIn
from local.issuer.pages import device_page, message_page, sign_in_page

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = ("authorization_code", "refresh_token", DEVICE_GRANT)
_SCOPES = ("openid", "email", "offline_access")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
Answer = AnyResponse | tuple[AnyResponse, int] | tuple[str, int] | str
# Returns the tokens of a sign-in: what the token endpoint answers, without a refresh token.
Issue = Callable[[SignIn], dict[str, Any]]


class SignInPages:
    """The handlers of sign-in at the URL `issuer`."""

    def __init__(self, issuer: str, grants: Grants, issue: Issue) -> None:
        self._issuer = issuer
        self._grants = grants
        self._issue = issue

    def install(self, app: Flask) -> None:
        """Add the routes."""
        app.get("/authorize")(self.authorize)
        app.post("/authorize", endpoint="consent")(self.consent)
        app.post("/device_authorization")(self.device_authorization)
        app.get("/device")(self.device)
        app.post("/device", endpoint="device_consent")(self.device_consent)
        app.post("/revoke")(self.revoke)

    def configuration(self) -> dict[str, Any]:
        """Return what the discovery document says of sign-in."""
        return {
            "authorization_endpoint": f"{self._issuer}/authorize",
            "device_authorization_endpoint": f"{self._issuer}/device_authorization",
            "revocation_endpoint": f"{self._issuer}/revoke",
            "grant_types_supported": list(GRANTS),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(_SCOPES),
            "authorization_response_iss_parameter_supported": True,
        }

    def authorize(self) -> Answer:
        """Show the page, or sign in at once whom `login_hint` names."""
        problem = _problem(request.args)
        if problem:
            return message_page("This can't be answered", problem), 400
        error = _unsupported(request.args)
        if error:
            return self._back(error="invalid_request", error_description=error)
        email = request.args.get("login_hint")
        if email:
            return self._let_in(Person(email=email, group=WRITE_GROUP, seconds=TOKEN_SECONDS))
        return sign_in_page(request.args.get("client_id", ""))

    def consent(self) -> Answer:
        """Redirect back with a code, or with an error if the person refused."""
        problem = _problem(request.args) or _unsupported(request.args)
        if problem:
            return message_page("This can't be answered", problem), 400
        person = _person(request.form)
        if person is None:
            return self._back(error="access_denied", error_description="The person has refused.")
        return self._let_in(person)

    def _let_in(self, person: Person) -> AnyResponse:
        query = request.args
        # With PKCE a client is public: it has no secret to prove that a refresh token is its own.
        challenge = query.get("code_challenge")
        sign_in = SignIn(
            person=person,
            client_id=query.get("client_id", ""),
            nonce=query.get("nonce"),
            rotates=challenge is not None,
            scope=" ".join(scope for scope in query.get("scope", "openid email").split() if scope in _SCOPES),
        )
        return self._back(code=self._grants.new_code(sign_in, query["redirect_uri"], challenge))

    def _back(self, **parameters: str) -> AnyResponse:
        target = request.args["redirect_uri"]
        if "state" in request.args:
            parameters["state"] = request.args["state"]
        query = urlencode({**parameters, "iss": self._issuer})
        return redirect(f"{target}{'&' if '?' in target else '?'}{query}")

    def device_authorization(self) -> Answer:
        """Return codes for a device."""
        client_id = request.form.get("client_id", "")
        if client_id != AUDIENCE:
            return oauth_error(BadGrant("invalid_client", f"client_id must be {AUDIENCE}"))
        device_code, device = self._grants.new_device(client_id)
        address = f"{self._issuer}/device"
        return jsonify(
            device_code=device_code,
            user_code=device.user_code,
            verification_uri=address,
            verification_uri_complete=f"{address}?user_code={device.user_code}",
            expires_in=DEVICE_SECONDS,
            interval=DEVICE_INTERVAL,
        )

    def device(self) -> Answer:
        """Show the page where a person enters a code."""
        return device_page(request.args.get("user_code", ""))

    def device_consent(self) -> Answer:
        """Let the person in on the device, or not."""
        person = _person(request.form)
        if not self._grants.decide(request.form.get("user_code", ""), person):
            return message_page("Unknown code", "No device waits for this code. Go back and correct it."), 400
        if person is None:
            return message_page("Refused", "The other device is not signed in.")
        return message_page("Signed in", "The other device goes on. You can close this window.")

    def revoke(self) -> Answer:
        """End the sign-in of a refresh token."""
        if not request.form.get("token"):
            return oauth_error(BadGrant("invalid_request", "token is missing"))
        self._grants.revoke(request.form["token"])
        return Response(status=200)

    def token(self, fields: Mapping[str, Any]) -> Answer:
        """Return tokens for a code, a refresh token or a device code.

        Ignore fields of other meaning, as a provider has to (RFC 6749, 3.2): requests-oauthlib sends along
        what its caller gave the request.
        """
        try:
            sign_in, refresh_token = self._granted(fields)
        except BadGrant as error:
            return oauth_error(error)
        return jsonify({**self._issue(sign_in), "refresh_token": refresh_token})

    def _granted(self, fields: Mapping[str, Any]) -> tuple[SignIn, str]:
        # Programs name themselves in the request, or by HTTP's basic authentication (RFC 6749, 2.3.1).
        by_header = request.authorization.username if request.authorization else None
        client_id = str(fields.get("client_id") or by_header or "")
        match fields["grant_type"]:
            case "refresh_token":
                return self._grants.refresh(_needed(fields, "refresh_token"), client_id)
            case "authorization_code":
                sign_in = self._grants.redeem(
                    _needed(fields, "code"),
                    client_id=client_id,
                    redirect_uri=str(fields.get("redirect_uri", "")),
                    verifier=fields.get("code_verifier"),
                )
            case _:
                sign_in = self._grants.poll(_needed(fields, "device_code"), client_id)
        return sign_in, self._grants.new_refresh_token(sign_in)


def _needed(fields: Mapping[str, Any], name: str) -> str:
    if not fields.get(name):
        raise BadGrant("invalid_request", f"{name} is missing")
    return str(fields[name])


def oauth_error(error: BadGrant) -> tuple[Response, int]:
    """Return the answer to a request that is refused (RFC 6749, 5.2)."""
    return jsonify(error=error.code, error_description=str(error)), 400


def _problem(query: Mapping[str, str]) -> str | None:
    """Return why the browser can't be sent back, if so."""
    target = urlsplit(query.get("redirect_uri", ""))
    if target.scheme != "http" or target.hostname not in _LOOPBACK:
        return "redirect_uri is missing, or is no http:// address of this machine"
    if query.get("client_id", AUDIENCE) != AUDIENCE:
        return f"client_id must be {AUDIENCE}"
    return None


def _unsupported(query: Mapping[str, str]) -> str | None:
    if query.get("response_type", "code") != "code":
        return "response_type must be code"
    if "code_challenge" in query and query.get("code_challenge_method") != "S256":
        return "code_challenge_method must be S256"
    return None


def _person(form: Mapping[str, str]) -> Person | None:
    """Return whom a form names, None if the person refuses."""
    if form.get("decision") != "allow":
        return None
    seconds = form.get("seconds", "")
    return Person(
        email=form.get("email", ""),
        group=form.get("group") or None,
        seconds=int(seconds) if seconds.isascii() and seconds.isdigit() else TOKEN_SECONDS,
    )
