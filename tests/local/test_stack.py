"""The stack as tests and the demo use it, with the real API."""

import contextlib
import json
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import partial

import jwt
import pytest

from local import probes
from local.api import api_process
from local.components import TABLE
from local.components.base import Component
from local.errors import ComponentFailed
from local.issuer.client import request_token
from local.probes import NotReady
from local.stack import Stack


def status_of(url: str, token: str = "", method: str = "GET") -> int:
    """Return the status that a request is answered with."""
    request = urllib.request.Request(url, method=method, data=b"{}" if method == "PUT" else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def env(stack):
    """The running system that all tests share."""
    return stack


def test_its_tokens_are_those_of_the_issuer_that_the_api_trusts(env):
    with urllib.request.urlopen(f"{env['OIDC_ISSUER']}/.well-known/openid-configuration") as answer:
        keys = jwt.PyJWKClient(json.load(answer)["jwks_uri"])
    for name, group in (("DSS_TOKEN", "dss"), ("DSS_TOKEN2", "dss"), ("DSS_TOKEN_OTHER_GROUP", "other")):
        key = keys.get_signing_key_from_jwt(env[name])
        claims = jwt.decode(
            env[name], key, ["RS256"], audience=env["OIDC_AUDIENCE"], issuer=env["OIDC_ISSUER"]
        )
        assert claims["group"] == group
        assert claims["email_verified"] is True
        assert claims["exp"] - claims["iat"] == 12 * 3600


def test_tokens_of_any_kind_can_be_made(env):
    body_less = "/v1/bundles/3c7a3a3e-9ab1-4b9e-8f0d-0d2bd0a7b6c1?version=x&replica=gcp"
    answers = {
        token: status_of(env["DSS_URL"] + body_less, token, "PUT")
        for token in (
            "",
            request_token(env, "a@example.org", "dss", ttl=-60),
            request_token(env, "a@example.org", "dss", aud="somebody else"),
            request_token(env, "a@example.org", "dss", foreign_key=True),
        )
    }
    assert set(answers.values()) == {401}
    assert status_of(env["DSS_URL"] + body_less, request_token(env, "a@example.org", "other"), "PUT") == 403
    assert status_of(env["DSS_URL"] + body_less, request_token(env, "a@example.org", "dss"), "PUT") == 400


def test_a_service_account_can_sign_its_own_tokens(env):
    with open(env["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"]) as file:  # noqa: PTH123
        account = json.load(file)
    email = account["client_email"]
    assert email.split("@")[1].split(".")[0] in env["DSS_TRUSTED_PROJECTS"]
    url = env["DSS_SERVICE_ACCOUNT_JWKS_URL"]
    token = jwt.encode(
        {"iss": email}, account["private_key"], "RS256", headers={"kid": account["private_key_id"]}
    )
    key = jwt.PyJWKClient(url.replace("{email}", email)).get_signing_key_from_jwt(token)
    assert jwt.decode(token, key, ["RS256"])["iss"] == email
    assert status_of(url.replace("{email}", "stranger@elsewhere.iam.gserviceaccount.com")) == 404


def test_a_further_api_has_its_own_settings_and_can_be_killed_and_restarted(env):
    write = "/v1/bundles/3c7a3a3e-9ab1-4b9e-8f0d-0d2bd0a7b6c1?version=2020-01-01T000000.000000Z&replica=gcp"
    with api_process(env, {"DSS_READ_ONLY_MODE": "1"}) as api:
        assert api.url != env["DSS_URL"]
        assert status_of(api.url + write, env["DSS_TOKEN"], "PUT") == 503
        api.kill()
        with pytest.raises(urllib.error.URLError):
            status_of(f"{api.url}/version")
        api.start({"DSS_READ_ONLY_MODE": None})
        assert status_of(api.url + write, env["DSS_TOKEN"], "PUT") == 400
    assert status_of(f"{env['DSS_URL']}/version") == 200


def test_a_further_api_that_cannot_start_says_why(env):
    with (
        pytest.raises(ComponentFailed, match="DSS_SIGNED_URL_SECONDS"),
        api_process(env, {"DSS_SIGNED_URL_SECONDS": "0"}),
    ):
        pass


def test_a_component_more_is_one_row_more():
    def page(config, exported):
        port = config.ports.of("page")
        return Component(
            name="page",
            command=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)),
            needs=("token issuer",),
            ready=partial(probes.answers_ok, config.url("page")),
            exports={"PAGE_URL": config.url("page"), "PAGE_ISSUER": exported["OIDC_ISSUER"]},
        )

    [token_issuer] = [row for row in TABLE if row.__name__ == "token_issuer"]
    reports: list[str] = []
    with Stack(table=(token_issuer, page), report=reports.append).running() as env:
        assert status_of(env["PAGE_URL"]) == 200
        assert env["PAGE_ISSUER"] == env["OIDC_ISSUER"]
    assert [text.partition(" ready")[0] for text in reports] == ["token issuer", "page"]
    with pytest.raises(urllib.error.URLError):
        status_of(env["PAGE_URL"])


def test_a_component_that_never_answers_is_named():
    def mute(config, _):
        return Component(
            name="mute",
            command=("sleep", "600"),
            ready=partial(probes.answers_ok, config.url("mute")),
        )

    with (
        pytest.raises(ComponentFailed, match=r"mute was not ready within 0\.1 s.*refused"),
        contextlib.ExitStack() as all_,
    ):
        all_.enter_context(Stack(table=(mute,), patience=0.1).running())


def test_a_need_that_no_row_meets_is_an_error():
    def lonely(*_):
        return Component(name="lonely", command=("true",), needs=("nobody",), ready=lambda: None)

    with pytest.raises(ValueError, match="lonely"), Stack(table=(lonely,)).running():
        pass


def test_watching_ends_when_a_stop_is_requested():
    stack = Stack(table=())
    with stack.running():
        watching = threading.Thread(target=stack.watch, daemon=True)
        watching.start()
        stack.stop.request(signal.SIGTERM)
        watching.join(60)
        assert not watching.is_alive()


def test_what_a_component_uses_does_not_count_against_its_own_patience():
    began = time.monotonic()

    def slow(*_):
        def ready():
            if time.monotonic() - began < 1.0:
                raise NotReady("slow")

        return Component(name="slow", command=(), ready=ready)

    def quick(*_):
        probes_of_quick = iter([NotReady("at first"), None])

        def ready():
            if error := next(probes_of_quick):
                raise error

        return Component(name="quick", command=("sleep", "600"), uses=("slow",), ready=ready, seconds=0.5)

    reports: list[str] = []
    with Stack(table=(slow, quick), report=reports.append).running():
        pass
    assert [text.partition(" ready")[0] for text in reports] == ["slow", "quick"]
