"""Requests for which there is no place are refused by their head alone, as the gateway would refuse them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from run.api.errors import problem_of
from run.api.load_shedding import LoadShedding
from run.api.shared_threads import SharedThreads
from run.api.worker import Worker
from shared.errors import Unavailable
from tests.support.waiting import SLOWNESS

PATIENCE = SLOWNESS * 30
WHOSE = "Authorization: Bearer of-a-flood"
BUNDLE = "GET /v1/bundles/a HTTP/1.1"


class Application:
    """Says that it was reached; all threads but its own are in use, and as many requests wait as may."""

    client_seconds = PATIENCE

    def __init__(self) -> None:
        self.threads = SharedThreads(1, most_waiting=2)
        self.shedding = LoadShedding(self.threads, problem_of(Unavailable("come again")))
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


def served(scenario: Callable[[Application, Callable[[], Awaitable[Client]]], Awaitable[None]]) -> None:
    """Run a scenario with an application that a server serves, and what connects a client with it.

    The application has refused a request of the flood already, and a client has its first answer.
    """

    async def main() -> None:
        application = Application()
        config = uvicorn.Config(application, port=0, log_config=None, **Worker.CONFIG_KWARGS)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(PATIENCE):
            while not server.started:
                await asyncio.sleep(0.001)
        address = server.servers[0].sockets[0].getsockname()
        writers = []

        async def connect() -> Client:
            reader, writer = await asyncio.open_connection(*address)
            writers.append(writer)
            client = Client(reader, writer)
            assert await client.reaches(f"{BUNDLE}\r\n{WHOSE}")
            return client

        try:
            application.shedding.remember(WHOSE.partition(": ")[2], "flood")
            application.fill("flood")
            await scenario(application, connect)
        finally:
            await application.empty()
            for writer in writers:
                writer.close()
            server.should_exit = True
            await serving

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
        application.shedding.remember("Bearer of-another", "another")
        assert await client.reaches(f"{BUNDLE}\r\nAuthorization: Bearer of-another")
        assert not await client.reaches(f"{BUNDLE}\r\n{WHOSE}")
        await application.empty()
        assert await client.reaches(f"{BUNDLE}\r\n{WHOSE}")

    served(scenario)


def test_only_the_last_callers_are_remembered() -> None:
    async def main() -> None:
        application = Application()
        for number in range(100):
            application.shedding.remember(f"Bearer {number}", "flood")
        application.shedding.remember("", "flood")
        application.fill("flood")
        await asyncio.sleep(0)
        refused = [
            application.shedding.refusal(b"GET", b"/v1/files/a", [(b"authorization", b"Bearer %d" % number)])
            for number in range(100)
        ]
        assert [each is not None for each in refused] == [False] * 36 + [True] * 64
        assert application.shedding.refusal(b"GET", b"/v1/files/a", []) is None
        await application.empty()

    asyncio.run(main())
