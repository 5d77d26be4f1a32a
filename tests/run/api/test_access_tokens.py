"""Opaque access tokens: how long an answer counts, how many questions there are, and what never leaves."""

import itertools
import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.api import api_process
from run.api.access_tokens import MOST_AT_ONCE, MOST_SECONDS_KNOWN, SECONDS, AccessTokens
from run.api.lookup_limit import MOST_OF_ALL, MOST_OF_CLIENT
from shared.errors import DssError, TooManyLookups, Unauthorized, Unavailable
from tests.support.api import Api
from tests.support.server_threads import in_thread
from tests.support.waiting import SLOWNESS, wait_until

GOOD = {"aud": "app", "azp": "app", "email": "a@example.org", "email_verified": "true", "expires_in": "3000"}
INVALID = (400, {"error": "invalid_token", "error_description": "Invalid Value"})
TOKEN = f"ya29.{'secret' * 10}"
_numbers = itertools.count()


class Endpoint(ThreadingHTTPServer):
    """Gives the answers that a test sets; waits while `may_answer` is not set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, Any]] = {TOKEN: (200, GOOD)}
        self.otherwise: tuple[int, Any] = INVALID
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/tokeninfo"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        [token] = parse_qs(urlsplit(self.path).query)["access_token"]
        self.server.asked.append(token)
        self.server.may_answer.wait(SLOWNESS * 10)
        status, said = self.server.answers.get(token, self.server.otherwise)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Location", f"{self.server.url}?access_token=followed")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


class Moments:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    with in_thread(running):
        yield running
        running.may_answer.set()


@pytest.fixture
def clock() -> Moments:
    return Moments()


def tokens_of(endpoint: Endpoint, clock: Moments, **more: Any) -> AccessTokens:
    return AccessTokens(
        endpoint.url,
        clients=("app",),
        trusts=lambda email: email.endswith("@trusted"),
        monotonic=clock,
        **more,
    )


@pytest.fixture
def tokens(endpoint: Endpoint, clock: Moments) -> AccessTokens:
    return tokens_of(endpoint, clock)


def invented() -> str:
    return f"ya29.invented-token-{next(_numbers)}"


def refusal(tokens: AccessTokens, token: str, client: str = "1.2.3.4") -> type[DssError]:
    with pytest.raises(DssError) as raised:
        tokens.identity(token, client)
    assert token not in "".join(traceback.format_exception(raised.value))
    return raised.type


def test_the_endpoint_is_who_vouches_and_proves_no_group(tokens, endpoint):
    who = tokens.identity(TOKEN, "")
    assert (who.email, who.issuer, who.groups, who.is_admin) == (
        "a@example.org",
        endpoint.url,
        frozenset(),
        False,
    )


def test_an_answer_counts_for_a_while_and_then_the_endpoint_is_asked_again(tokens, endpoint, clock):
    for seconds in (0, MOST_SECONDS_KNOWN - 1, 1, MOST_SECONDS_KNOWN - 1):
        clock.now += seconds
        tokens.identity(TOKEN, "")
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("life", [{"expires_in": "60"}, {"expires_in": 60}, {"expires_in": None}])
def test_an_answer_counts_no_longer_than_its_token_lives(tokens, endpoint, clock, life):
    said = {**GOOD, **life}
    if life["expires_in"] is None:
        del said["expires_in"]
        said["exp"] = str(int(time.time()) + 60)
    endpoint.answers[TOKEN] = (200, said)
    tokens.identity(TOKEN, "")
    clock.now += 50
    tokens.identity(TOKEN, "")
    assert len(endpoint.asked) == 1
    clock.now += 11
    endpoint.answers[TOKEN] = INVALID
    assert refusal(tokens, TOKEN) is Unauthorized
    assert len(endpoint.asked) == 2


def test_a_revoked_token_is_refused_when_its_answer_is_old(tokens, endpoint, clock):
    tokens.identity(TOKEN, "")
    endpoint.answers[TOKEN] = INVALID
    clock.now += MOST_SECONDS_KNOWN
    assert refusal(tokens, TOKEN) is Unauthorized


def test_a_refused_token_is_not_asked_for_again_for_a_minute(tokens, endpoint, clock):
    for seconds in (0, 59, 1):
        clock.now += seconds
        assert refusal(tokens, INVALID_TOKEN) is Unauthorized
    assert endpoint.asked == [INVALID_TOKEN] * 2


INVALID_TOKEN = "ya29.this-is-nobodys-token"


def test_forged_tokens_of_one_client_cause_few_requests_and_lock_nobody_else_out(tokens, endpoint, clock):
    tokens.identity(TOKEN, "1.2.3.4")
    kinds = [refusal(tokens, invented()) for _ in range(300)]
    assert kinds == [Unauthorized] * MOST_OF_CLIENT + [TooManyLookups] * (300 - MOST_OF_CLIENT)
    assert len(endpoint.asked) == 1 + MOST_OF_CLIENT
    # Its own token that is known goes on, also when the endpoint has to be asked again.
    clock.now += MOST_SECONDS_KNOWN - 50
    assert refusal(tokens, invented()) is Unauthorized
    [refusal(tokens, invented()) for _ in range(MOST_OF_CLIENT)]
    clock.now += 50
    assert tokens.identity(TOKEN, "1.2.3.4").email == "a@example.org"
    endpoint.answers["another-good-token"] = (200, GOOD)
    assert refusal(tokens, "another-good-token", "1.2.3.4") is TooManyLookups
    assert tokens.identity("another-good-token", "5.6.7.8").email == "a@example.org"


def test_forged_tokens_of_all_clients_together_are_bounded_for_a_minute(tokens, endpoint, clock):
    for number in range(MOST_OF_ALL + 20):
        refusal(tokens, invented(), f"client {number // (MOST_OF_CLIENT - 1)}")
    assert len(endpoint.asked) == MOST_OF_ALL
    assert refusal(tokens, TOKEN, "a new client") is TooManyLookups
    clock.now += 60
    assert tokens.identity(TOKEN, "a new client").email == "a@example.org"


def test_good_tokens_never_count_as_forged(tokens, endpoint):
    endpoint.otherwise = (200, GOOD)
    for _ in range(MOST_OF_CLIENT * 2):
        tokens.identity(invented(), "1.2.3.4")
    assert len(endpoint.asked) == MOST_OF_CLIENT * 2


def test_only_so_many_tokens_are_remembered_and_forged_ones_displace_no_good_one(endpoint, clock):
    tokens = tokens_of(endpoint, clock, most_known=3)
    tokens.identity(TOKEN, "")
    for _ in range(5):
        refusal(tokens, invented())
    tokens.identity(TOKEN, "")
    assert len(endpoint.asked) == 6
    endpoint.otherwise = (200, GOOD)
    for _ in range(3):
        tokens.identity(invented(), "")
    tokens.identity(TOKEN, "")
    assert len(endpoint.asked) == 10


@pytest.mark.parametrize(
    "token", ["", "short", "a" * 2049, "ya29.with space-and-more", "ya29.ünicode-token-xx", "{}" * 20]
)
def test_what_cannot_be_an_access_token_causes_no_request(tokens, endpoint, token):
    with pytest.raises(Unauthorized):
        tokens.identity(token, "")
    assert endpoint.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        (500, GOOD),
        (429, GOOD),
        (403, GOOD),
        (302, GOOD),
        (200, b"<html>"),
        (200, []),
        (200, {**GOOD, "expires_in": "soon"}),
        (200, {name: value for name, value in GOOD.items() if name != "expires_in"}),
    ],
)
def test_an_answer_that_says_nothing_is_503_and_not_remembered(tokens, endpoint, answer):
    endpoint.answers[TOKEN] = answer
    assert refusal(tokens, TOKEN) is Unavailable
    assert endpoint.asked == [TOKEN]
    endpoint.answers[TOKEN] = (200, GOOD)
    tokens.identity(TOKEN, "")


def test_an_endpoint_that_does_not_answer_delays_no_request_for_long(endpoint, clock):
    assert SECONDS == 5
    tokens = tokens_of(endpoint, clock, seconds=0.2)
    endpoint.may_answer.clear()
    with ThreadPoolExecutor(MOST_AT_ONCE) as threads:
        kinds = list(threads.map(lambda _: refusal(tokens, invented()), range(MOST_AT_ONCE)))
    assert kinds == [Unavailable] * MOST_AT_ONCE
    endpoint.may_answer.set()
    # The threads that waited come to an end.

    def is_answered() -> bool:
        with suppress(Unavailable):
            return bool(tokens.identity(TOKEN, "another client").email)
        return False

    wait_until(is_answered, "no thread is free for another lookup", 10)


def test_no_more_than_so_many_requests_wait_for_the_endpoint(endpoint, clock):
    tokens = tokens_of(endpoint, clock, seconds=SLOWNESS * 10)
    endpoint.otherwise = (200, GOOD)
    endpoint.may_answer.clear()
    with ThreadPoolExecutor(MOST_AT_ONCE) as threads:
        waiting = [threads.submit(tokens.identity, invented(), "") for _ in range(MOST_AT_ONCE)]
        wait_until(lambda: len(endpoint.asked) == MOST_AT_ONCE, "the endpoint is not asked", 5)
        assert refusal(tokens, invented()) is TooManyLookups
        assert len(endpoint.asked) == MOST_AT_ONCE
        endpoint.may_answer.set()
        assert {future.result().email for future in waiting} == {"a@example.org"}


def test_many_requests_with_one_new_token_ask_once(endpoint, clock):
    tokens = tokens_of(endpoint, clock, seconds=SLOWNESS * 10)
    endpoint.may_answer.clear()
    with ThreadPoolExecutor(MOST_AT_ONCE * 2) as threads:
        waiting = [threads.submit(tokens.identity, TOKEN, "") for _ in range(MOST_AT_ONCE * 2)]
        wait_until(lambda: endpoint.asked, "the endpoint is not asked", 5)
        endpoint.may_answer.set()
        assert {future.result().email for future in waiting} == {"a@example.org"}
    assert endpoint.asked == [TOKEN]


def test_no_token_is_in_an_answer_or_in_the_log_even_in_debug_mode(stack, endpoint):
    settings = {"DSS_DEBUG": "1", "DSS_TOKEN_INFO_URL": endpoint.url, "DSS_TOKEN_INFO_CLIENTS": "app"}
    with api_process(stack, settings) as process:
        api = Api(process.url)

        def answer(token: str) -> Any:
            return api.signed_in(token).get("/v1/subscriptions", replica="gcp")

        assert answer(TOKEN).status_code == 403
        texts = [answer(TOKEN).text, answer(INVALID_TOKEN).text]
        endpoint.otherwise = (500, GOOD)
        texts.append(answer(f"{INVALID_TOKEN}-2").text)
        # From here on nobody listens.
        endpoint.shutdown()
        endpoint.server_close()
        refused = answer(f"{INVALID_TOKEN}-3")
        assert refused.status_code == 503
        texts += [refused.text, process.log.read_text()]
    assert "stacktrace" in refused.text
    for text in texts:
        assert TOKEN not in text
        assert INVALID_TOKEN not in text
