"""Serves the application from an event loop, so that clients never hold the threads that answer requests.

    head of a request     event loop    received with a limit of time and size (run/api/connections.py)
    routing, sign-in      a thread      errors are answered without reading the body
    body                  event loop    received with a limit of time and memory
    handler               a thread      for a long answer, once more for each part of it
    answer                event loop    sent as fast as the client receives, with a limit of time

Requests that need no back end have threads of their own: they are answered even if all back ends hang.

A caller whose request budget is used up is refused in the event loop, and waits a moment for that answer, so
that who asks again at once takes no time from others.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from flask import Flask, Response

from run.api.admission import ADMISSION, Admission
from run.api.audit_log import AUDIT_LOG, RequestAudit
from run.api.connections import MAX_URL
from run.api.cors import CrossOrigin
from run.api.errors import problem, problem_of
from run.api.interfaces import INTERFACES_KEY, Interfaces
from run.api.limits import LIMITS, Limits
from run.api.load_shedding import LoadShedding
from run.api.service import HEALTH
from run.api.shared_threads import NoThread, SharedThreads
from run.api.wsgi import Answer, Environ, environ_of, has_body, next_part, respond, with_body
from shared.config import Settings
from shared.errors import TooManyRequests, Unavailable

# Seconds that a request waits for a thread.
QUEUE_SECONDS = 8.0
# terraform/api.tf sends as many requests at once.
THREADS = 32
# Requests that wait for a thread, beyond which new ones are refused at once, instead of after a wait in vain.
# terraform/api.tf sends none beyond those for which there are threads; elsewhere nothing else bounds them.
MOST_WAITING = 4 * THREADS
# Of the threads, what one caller may have while others are there: as many as `dss upload` has requests at
# once, and fewer the more of its budget it has spent.
SHARE = 8
# Seconds for which the answer to a refused request is held: various, so that a caller's connections do not
# come back all at once. Held at once are half of those that terraform/api.tf sends.
_HOLD_SECONDS = (0.1, 0.4)
_MOST_HELD = THREADS // 2
# Bytes. Cloud Run refuses larger bodies.
_LARGEST_BODY = 32 * 1024 * 1024
_SLICE = 64 * 1024

_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Refused(Exception):
    """The gateway itself answers the request, with this problem."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response

    @classmethod
    def as_(cls, status: int, code: str, title: str) -> "_Refused":
        """Return the refusal of a request that is as wrong the next time."""
        return cls(problem(status, code, title))

    @classmethod
    def for_now(cls, title: str) -> "_Refused":
        """Return the refusal of a request that may be repeated later, also a write: nothing was done yet."""
        return cls(problem_of(Unavailable(title)))

    @classmethod
    def without_thread(cls) -> "_Refused":
        """Return the refusal of a request for which there is no thread."""
        return cls.for_now("too many requests are in progress; try again later")


class _ClientGone(Exception):
    """The client has disconnected, or receives its answer too slowly."""


class Gateway:
    """An ASGI application that serves the WSGI application of `create_app`."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.app = app
        self._settings = settings
        self.request_seconds = settings.request_seconds
        self.client_seconds = settings.client_seconds
        self.max_body = settings.max_body_bytes
        self.cross_origin = CrossOrigin(settings.cors_origins)
        # Part of the memory beside the budgets of run/api/memory_budget.py.
        self.memory_for_bodies = settings.api_memory_bytes // 4
        self.interfaces: Interfaces = app.extensions[INTERFACES_KEY]
        self._limits: Limits = app.extensions[LIMITS]
        self._audit: RequestAudit = app.extensions[AUDIT_LOG]
        self._held = 0
        self._threads = SharedThreads(THREADS, self._share, most_waiting=MOST_WAITING)
        refusal = respond(_Refused.without_thread().response, {"REQUEST_METHOD": "GET"})
        refusal.headers += self.cross_origin.headers({})
        self.shedding = LoadShedding(self._threads, refusal)
        self._threads_without_back_end = SharedThreads(4)
        self._threads_for_health = SharedThreads(2)

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer a request; drop the connection if its client is too slow."""
        exchange = _Exchange(self, self._threads_of(scope["path"]), receive, send)
        try:
            await exchange.send(await exchange.answer(scope))
        except (_ClientGone, _Refused):
            scope["abort"]()
        finally:
            self.memory_for_bodies += exchange.body_size

    async def admit(self, environ: Environ) -> str:
        """Return by whom a request counts, after its token was found.

        Raise TooManyRequests, after a moment, if it is for an operation, and their budget is used up.
        """
        path = environ["PATH_INFO"]
        self.interfaces.authorize(environ, self._settings)
        try:
            if self.interfaces.has_operations(path) and not self.interfaces.needs_no_back_end(path):
                return self._limits.check(environ).name
            return self._limits.account(environ).name
        except TooManyRequests:
            if self._held < _MOST_HELD:
                self._held += 1
                try:
                    await asyncio.sleep(random.uniform(*_HOLD_SECONDS))
                finally:
                    self._held -= 1
            raise

    def log_refusal(self, environ: Environ, refused: int) -> None:
        """Write a line of the audit log about so many refused requests; none if they are reported later."""
        if refused:
            self._audit.limited(environ, self._limits.principal(environ), refused)

    def _share(self, caller: str) -> int:
        # One for who has spent half: then it is served no faster than its budget comes back.
        return max(1, round(SHARE * (1 - 2 * self._limits.spent(caller))))

    def _threads_of(self, path: str) -> SharedThreads:
        if path == HEALTH:
            return self._threads_for_health
        return self._threads_without_back_end if self.interfaces.needs_no_back_end(path) else self._threads


class _Exchange:
    """One request and its answer."""

    def __init__(self, gateway: Gateway, threads: SharedThreads, receive: _Receive, send: _Send) -> None:
        self.body_size = 0
        self._gateway = gateway
        self._threads = threads
        self._receive = receive
        self._send = send
        self._caller = ""
        # Whether a thread has worked on it: what it did would be in vain if it were refused then.
        self._has_begun = False

    async def answer(self, scope: dict[str, Any]) -> Answer:
        """Return the answer, or its first part, as pages of other origins may read it. Raise _ClientGone."""
        environ = environ_of(scope)
        cross_origin = self._gateway.cross_origin
        if cross_origin.is_preflight(environ):
            answer = respond(cross_origin.preflight(environ), environ)
        else:
            answer = await self._answer(scope, environ)
        answer.headers += cross_origin.headers(environ)
        return answer

    async def _answer(self, scope: dict[str, Any], environ: Environ) -> Answer:
        """Return the answer, or its first part. Raise _ClientGone."""
        try:
            if len(scope["raw_path"]) + len(scope["query_string"]) >= MAX_URL:
                raise _Refused.as_(414, "request_uri_too_long", f"the URL is longer than {MAX_URL} bytes")
            self._caller = await self._gateway.admit(environ)
            if not has_body(environ):
                return await self._respond(environ)
            admission = environ[ADMISSION] = Admission()
            answer = await self._respond(environ)
            if not admission.waits_for_body:
                return answer
            environ = with_body(environ, await self._body())
            admission.body_received = True
            return await self._respond(environ)
        except _Refused as refused:
            return self._refuse(refused.response, environ)
        except TooManyRequests as error:
            self._gateway.log_refusal(environ, error.refused)
            return self._refuse(problem_of(error), environ)

    def _refuse(self, response: Response, environ: Environ) -> Answer:
        return respond(self._gateway.interfaces.form(environ["PATH_INFO"], response), environ)

    async def _respond(self, environ: Environ) -> Answer:
        try:
            return await self._run(respond, self._gateway.app, environ, self._ends())
        except _Refused:
            self._gateway.shedding.remember(environ, self._caller)
            raise

    async def _run(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """Run `work` in a thread. Raise _Refused if none becomes free in time, or too many requests wait."""
        try:
            answer = await self._threads.run(
                self._caller, QUEUE_SECONDS, work, *arguments, is_new=not self._has_begun
            )
        except NoThread:
            raise _Refused.without_thread() from None
        self._has_begun = True
        return answer

    def _ends(self) -> float:
        """Return the deadline of a step that begins now; waiting for a thread is part of it."""
        return time.monotonic() + self._gateway.request_seconds

    async def _body(self) -> bytes:
        """Receive the body; one that is too large up to one byte more than the limit, and drop the rest."""
        body = bytearray()
        received, more = 0, True
        try:
            async with asyncio.timeout(self._gateway.client_seconds):
                while more and received < _LARGEST_BODY:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    received, more = received + len(message["body"]), message["more_body"]
                    if len(body) <= self._gateway.max_body:
                        self._reserve(len(message["body"]))
                        body += message["body"]
        except TimeoutError:
            title = f"the body took more than {self._gateway.client_seconds} seconds"
            raise _Refused.as_(408, "request_timeout", title) from None
        return bytes(body[: self._gateway.max_body + 1])

    def _reserve(self, size: int) -> None:
        if size > self._gateway.memory_for_bodies:
            raise _Refused.for_now("too many large requests are in progress; try again later")
        self._gateway.memory_for_bodies -= size
        self.body_size += size

    async def send(self, answer: Answer) -> None:
        """Send an answer. Raise _ClientGone, or _Refused if no thread prepares its next part in time."""
        disconnected: asyncio.Task[None] | None = None
        try:
            await self._send_message(
                {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
            )
            while answer.rest:
                await self._send_body(answer.body, more=True)
                disconnected = disconnected or asyncio.create_task(self._disconnect())
                answer = await self._run(next_part, answer, self._ends())
                if disconnected.done():
                    raise _ClientGone
            await self._send_body(answer.body, more=False)
        finally:
            if disconnected:
                disconnected.cancel()
            if answer.close:
                await asyncio.to_thread(answer.close)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        for start in range(0, max(len(body), 1), _SLICE):
            piece = body[start : start + _SLICE]
            last = start + _SLICE >= len(body)
            await self._send_message(
                {"type": "http.response.body", "body": piece, "more_body": more or not last}
            )

    async def _send_message(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._gateway.client_seconds):
                await self._send(message)
        except TimeoutError:
            raise _ClientGone from None

    async def _disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
