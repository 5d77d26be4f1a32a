"""How a person signs in: in the browser of this machine, or in another one."""

import contextlib
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dss import environment
from dss.errors import SignInFailed
from dss.sign_in import device
from dss.sign_in.login import new_login
from dss.sign_in.loopback import Loopback
from dss.sign_in.pkce import Authorization
from dss.sign_in.provider import Provider, Refused
from dss.sign_in.registration import Registration
from dss.sign_in.store import StoredLogin


class Person(Protocol):
    """Who signs in, at a terminal."""

    def say(self, line: str) -> None:
        """Show a line of text."""
        ...

    def ask(self, question: str) -> str:
        """Return one line of text. Raises SignInFailed if nobody is there to answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Signs a person in at an issuer, for the DSS at `url`; waits for so many `seconds` at most."""

    url: str
    provider: Provider
    registration: Registration
    person: Person
    seconds: float = 300.0

    def with_port(self, port: int) -> "SignIn":
        """Return a sign-in after which the browser returns to this port."""
        host, _, path = self.registration.redirect
        return replace(self, registration=replace(self.registration, redirect=(host, port, path)))

    def by_browser(self) -> StoredLogin:
        """Open a browser, wait for it to return, and return the login.

        Raises SignInFailed if sign-in is refused, or takes too long; InvalidInput if the port is taken.
        """
        with Loopback(*self.registration.redirect) as loopback:
            authorization = self._authorization(loopback.redirect_uri)
            self.person.say(f"Sign in at {self.provider.issuer} in your browser. If none opens, open this:")
            self.person.say(authorization.url)
            if not _opens(authorization.url):
                self.person.say(
                    "No browser could be started; with --no-browser you can use another machine's."
                )
            query = loopback.wait(authorization.has_state, self.seconds)
            return self._finish(authorization, authorization.code_of(query))

    def without_browser(self) -> StoredLogin:
        """Let the person use any browser: by a code if the issuer has such, or by copying an address."""
        if self.provider.device_authorization_endpoint:
            try:
                code = device.request_code(self.provider, self.registration)
            except Refused as error:
                # Google has a kind of client for this, and refuses others.
                self.person.say(f"No code for other devices: {error}")
            else:
                return self._by_code(code)
        return self._by_paste()

    def _by_code(self, code: device.DeviceCode) -> StoredLogin:
        code = replace(code, seconds=min(code.seconds, self.seconds))
        self.person.say(f"In any browser, open {code.address} and enter the code {code.user_code}")
        if code.complete_address:
            self.person.say(f"or open {code.complete_address}")
        answer = device.wait_for_consent(self.provider, self.registration, code)
        return self._login(answer)

    def _by_paste(self) -> StoredLogin:
        host, port, path = self.registration.redirect
        # Nothing listens there: the browser shows an error, and the address has the code.
        authorization = self._authorization(f"http://{host}:{port or 8400}{path}")
        self.person.say("In any browser, open this and sign in:")
        self.person.say(authorization.url)
        self.person.say("The browser then fails to open a page of this machine; that is right.")
        pasted = self.person.ask("Paste the address of that page, or the code in it: ")
        return self._finish(authorization, authorization.code_of_paste(pasted))

    def _authorization(self, redirect_uri: str) -> Authorization:
        return Authorization(
            provider=self.provider, registration=self.registration, redirect_uri=redirect_uri
        )

    def _finish(self, authorization: Authorization, code: str) -> StoredLogin:
        if not code:
            raise SignInFailed("there is no code in it; start again")
        return self._login(authorization.exchange(code), authorization.nonce)

    def _login(self, answer: Mapping[str, Any], nonce: str | None = None) -> StoredLogin:
        return new_login(self.url, self.provider, self.registration, answer, nonce=nonce)


def _opens(url: str) -> bool:
    if not environment.may_have_browser():
        return False
    opened = False
    with contextlib.suppress(webbrowser.Error, OSError):
        opened = webbrowser.open(url)
    return opened
