"""Search: `/search`, in the index of the deployment."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response

from run.api.call import Call
from run.api.json_text import NEWLINE
from run.api.pagination import page
from shared.api_path import api_url
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.search.base import MOST_PAGE_BYTES, Hit, Page
from shared.search.dsl import parse

# v1: a page with documents has at most ten.
_RAW_PER_PAGE = 10
# Bytes. A page ends with the document that exceeds its limit, and that has at most 16 MiB of files and a
# manifest.
_MEMORY_OF_RAW = MOST_PAGE_BYTES + 32 * 1024 * 1024


def post(
    call: Call,
    *,
    output_format: str,
    replica: str,
    per_page: int,
    search_after: str | None,
    json_request_body: dict[str, Any],
) -> Response:
    """Answer a page of the bundle versions that a query finds on a replica and the caller may read.

    Highest UUID first.
    """
    es_query = json_request_body["es_query"]
    query, after = parse(es_query), _position(search_after)
    raw = output_format == "raw"
    with ExitStack() as memory:
        if raw:
            memory.enter_context(call.memory.collections.reserve(_MEMORY_OF_RAW))
        found = call.dss.index.search(
            replica,
            query,
            readers=call.dss.policy.counts_as(call.reader),
            after=after,
            count=_RAW_PER_PAGE if raw else per_page,
            documents=raw,
            total=True,
        )
        more = call.url(search_after=f"{found.after.uuid},{found.after.version}") if found.after else None
        response = page({"es_query": es_query}, content_key="results", next_url=more)
        pieces = [*answer_of(call.base_url, replica, es_query, found)]
        response.content_length = sum(map(len, pieces))
        # One by one if they are large; to join them would take as much memory again.
        response.response = pieces if raw else [b"".join(pieces)]
        # The documents are in memory until the last one is sent, or the client is gone.
        response.call_on_close(memory.pop_all().close)
    return response


def answer_of(base_url: str, replica: str, es_query: Any, found: Page) -> Iterator[bytes]:
    """Yield the JSON of an answer in pieces. Documents are as the index returns them, and not parsed."""
    yield b'{"es_query": ' + _json(es_query)
    if found.total:
        yield b', "total_hits": ' + _json(found.total.hits)
        if not found.total.exact:
            yield b', "total_hits_relation": "gte"'
    yield b', "results": ['
    for number, hit in enumerate(found.hits):
        yield (b", " if number else b"") + _json(_result(base_url, replica, hit))[:-1]
        if hit.encoded is not None:
            yield b', "metadata": '
            yield hit.encoded
        yield b"}"
    yield b"]}" + NEWLINE


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _result(base_url: str, replica: str, hit: Hit) -> dict[str, Any]:
    query = urlencode({"version": hit.fqid.version, "replica": replica})
    return {
        "bundle_fqid": str(hit.fqid),
        "bundle_url": f"{api_url(base_url)}/bundles/{quote(hit.fqid.uuid)}?{query}",
        # Results are in order of FQID, and have no score.
        "search_score": None,
    }


def _position(search_after: str | None) -> Fqid | None:
    """Return the FQID after which a page begins. Raises IllegalArguments if it is not UUID,VERSION."""
    if not search_after:
        return None
    uuid, comma, version = search_after.partition(",")
    if not comma:
        raise IllegalArguments(f"search_after: {search_after[:80]!r} is not of the form uuid,version")
    return Fqid.parse(f"{uuid}.{version}", "search_after")
