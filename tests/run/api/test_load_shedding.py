"""Requests for which there is no place are refused by their head alone, as the gateway would refuse them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from flask import Flask

from local.supervisor.ports import HOST
from run.api.audit_log import AUDIT_LOG
from run.api.errors import problem_of
from run.api.gateway import Gateway
from run.api.interfaces import INTERFACES_KEY, Interfaces
from run.api.limits import LIMITS, Limits
from run.api.load_shedding import LoadShedding
from run.api.shared_threads import SharedThreads
from run.api.worker import Worker
from run.api.wsgi import Environ, respond
from shared.config import Settings
from shared.errors import Unavailable
from tests.support.required_settings import REQUIRED
from tests.support.waiting import SLOWNESS

PATIENCE = SLOWNESS * 30
WHOSE = "Authorization: Bearer of-a-flood"
BUNDLE = "GET /v1/bundles/a HTTP/1.1"


def sent(authorization: str = "", *, forwarded: str = "", address: str = HOST) -> Environ:
    """Return the environment of a request that was refused."""
    headers = {"HTTP_AUTHORIZATION": authorization, "HTTP_X_FORWARDED_FOR": forwarded}
    return {"REMOTE_ADDR": address, **{name: value for name, value in headers.items() if value}}


class Application:
    """Says that it was reached; all threads but its own are in use, and as many requests wait as may."""

    client_seconds = PATIENCE

    def __init__(self) -> None:
        self.threads = SharedThreads(1, most_waiting=2)
        refusal = respond(problem_of(Unavailable("come again")), {"REQUEST_METHOD": "GET"})
        self.shedding = LoadShedding(self.threads, refusal)
        self._end = threading.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def fill(self, caller: str) -> None:
        """Have requests of a caller use the thread, and wait for it."""
        self.tasks += [asyncio.create_task(self.threads.run(caller, PATIENCE, self._work)) for _ in range(3)]

    def _work(self) -> None:
        assert self._end.wait(PATIENCE)

    async def empty(self) -> None:
        """Let all of them end."""
        self._end.set()
        await asyncio.gather(*self.tasks)

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b"reached" if scope["method"] != "HEAD" else b""})


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *heads: str, body: str = "") -> list[tuple[int, dict[str, str], str]]:
        """Send requests at once; return status, headers and body of each answer."""
        for head in heads:
            self._writer.write(f"{head}\r\nHost: a\r\n\r\n{body}".encode())
        return [await self._answer(head) for head in heads]

    async def _answer(self, head: str) -> tuple[int, dict[str, str], str]:
        async with asyncio.timeout(PATIENCE):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            size = 0 if head.startswith("HEAD") else int(headers["content-length"])
            return int(first.split()[1]), headers, (await self._reader.readexactly(size)).decode()

    async def reaches(self, head: str, *, body: str = "") -> bool:
        """Return whether a request reaches the application; else it has to be refused."""
        ((status, headers, _),) = await self.ask(head, body=body)
        assert status == 200 or (status == 503 and int(headers["retry-after"]) > 0)
        return status == 200


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """Serve an application, and return what connects a client with it."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_config=None, **Worker.CONFIG_KWARGS))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:
            await asyncio.sleep(0.001)
    address = server.servers[0].sockets[0].getsockname()
    writers = []

    async def connect() -> Client:
        reader, writer = await asyncio.open_connection(*address)
        writers.append(writer)
        return Client(reader, writer)

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.should_exit = True
        await task


def served(scenario: Callable[[Application, Callable[[], Awaitable[Client]]], Awaitable[None]]) -> None:
    """Run a scenario with an application that a server serves, and what connects a client with it.

    The application has refused a request of the flood already, and a client has its first answer.
    """

    async def main() -> None:
        application = Application()
        async with serving(application) as connect:

            async def connect_and_ask() -> Client:
                client = await connect()
                assert await client.reaches(f"{BUNDLE}\r\n{WHOSE}")
                return client

            application.shedding.remember(sent(WHOSE.partition(": ")[2]), "flood")
            application.fill("flood")
            try:
                await scenario(application, connect_and_ask)
            finally:
                await application.empty()

    asyncio.run(main())


@pytest.mark.parametrize("origins", ["*", "https://a.example"])
def test_the_gateway_refuses_the_same_caller_alike_without_a_look(
    monkeypatch: pytest.MonkeyPatch, origins: str
) -> None:
    end = threading.Event()

    def view() -> str:
        assert end.wait(PATIENCE)
        return "reached"

    settings = Settings.from_environment({**REQUIRED, "DSS_CORS_ORIGINS": origins})
    flask = Flask("blocked")
    flask.add_url_rule("/v1/bundles/a", "view", view)
    flask.extensions |= {INTERFACES_KEY: Interfaces(), LIMITS: Limits(settings), AUDIT_LOG: None}
    monkeypatch.setattr("run.api.gateway.THREADS", 1)
    monkeypatch.setattr("run.api.gateway.MOST_WAITING", 2)

    async def main() -> None:
        gateway = Gateway(flask, settings)
        async with serving(gateway) as connect, asyncio.TaskGroup() as group:
            waiting = [group.create_task((await connect()).reaches(BUNDLE)) for _ in range(3)]
            client = await connect()
            try:
                [(status, by_gateway, _)] = await client.ask(BUNDLE)
                assert status == 503
                monkeypatch.setattr(gateway, "admit", None)
                [(status, alike, _)] = await client.ask(BUNDLE)
                assert status == 503
                assert by_gateway | {"date": ""} == alike | {"date": ""}
            finally:
                end.set()
        assert all(task.result() for task in waiting)

    asyncio.run(main())


def test_a_request_without_a_place_is_refused_as_by_the_gateway() -> None:
    async def scenario(_: Application, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        ((status, headers, body),) = await client.ask(f"{BUNDLE}\r\n{WHOSE}")
        expected = problem_of(Unavailable("come again"))
        assert (status, body) == (503, expected.get_data(as_text=True))
        assert headers.pop("date")
        headers.pop("")
        assert headers == {name.lower(): value for name, value in expected.headers}

    served(scenario)


def test_answers_keep_their_order_and_head_has_no_body() -> None:
    async def scenario(_: Application, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        head = BUNDLE.replace("GET", "HEAD")
        answers = await client.ask(f"{BUNDLE}\r\n{WHOSE}", f"{head}\r\n{WHOSE}", f"{BUNDLE}\r\n{WHOSE}")
        assert [status for status, _, _ in answers] == [503] * 3
        assert [bool(body) for _, _, body in answers] == [True, False, True]

        # The second waits for the answer of the application to the first.
        answers = await client.ask("GET /version HTTP/1.1", f"{BUNDLE}\r\n{WHOSE}")
        assert answers[0][::2] == (200, "reached")

    served(scenario)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(f"GET /version HTTP/1.1\r\n{WHOSE}", "", id="what needs no back end"),
        pytest.param(f"GET /ga4gh/drs/v1/objects/a HTTP/1.1\r\n{WHOSE}", "", id="other forms of errors"),
        pytest.param(BUNDLE, "", id="nobody"),
        pytest.param(f"{BUNDLE}\r\nAuthorization: Bearer of-another", "", id="who was not refused"),
        pytest.param(f"{BUNDLE}\r\n{WHOSE}\r\nOrigin: https://a.example", "", id="pages of other origins"),
        pytest.param(f"PUT /v1/files/a HTTP/1.1\r\n{WHOSE}\r\nContent-Length: 4", "body", id="a body"),
    ],
)
def test_the_application_answers(head: str, body: str) -> None:
    async def scenario(_: Application, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        assert await client.reaches(head, body=body)
        assert not await client.reaches(f"{BUNDLE}\r\n{WHOSE}")

    served(scenario)


def test_others_have_their_place_and_all_have_when_the_line_is_shorter() -> None:
    async def scenario(application: Application, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        application.shedding.remember(sent("Bearer of-another"), "another")
        assert await client.reaches(f"{BUNDLE}\r\nAuthorization: Bearer of-another")
        assert not await client.reaches(f"{BUNDLE}\r\n{WHOSE}")
        await application.empty()
        assert await client.reaches(f"{BUNDLE}\r\n{WHOSE}")

    served(scenario)


def test_who_signs_in_to_nothing_is_known_by_the_addresses() -> None:
    async def scenario(application: Application, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        application.shedding.remember(sent(forwarded="198.51.100.1"), "flood")
        application.shedding.remember(sent(address="198.51.100.2"), "flood")
        assert await client.reaches(BUNDLE)
        assert await client.reaches(f"{BUNDLE}\r\nX-Forwarded-For: 198.51.100.2")
        assert not await client.reaches(f"{BUNDLE}\r\nX-Forwarded-For: 198.51.100.1")
        application.shedding.remember(sent(), "flood")
        assert not await client.reaches(BUNDLE)

    served(scenario)


def test_only_the_last_callers_are_remembered() -> None:
    async def main() -> None:
        application = Application()
        for number in range(1100):
            application.shedding.remember(sent(f"Bearer {number}"), "flood")
        application.fill("flood")
        await asyncio.sleep(0)

        def is_refused(number: int) -> bool:
            headers = [(b"authorization", b"Bearer %d" % number)]
            return application.shedding.refusal(b"GET", b"/v1/files/a", headers, HOST) is not None

        assert [is_refused(number) for number in range(1100)] == [False] * 100 + [True] * 1000
        await application.empty()

    asyncio.run(main())
