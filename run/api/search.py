"""Search: `/search`, in the index of the deployment."""

from typing import Any
from urllib.parse import quote, urlencode

from flask import Response

from run.api.call import Call
from run.api.pagination import page
from shared.api_path import api_url
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.search.base import Hit
from shared.search.dsl import parse

# v1: a page with documents has at most ten.
_RAW_PER_PAGE = 10


def post(
    call: Call,
    *,
    output_format: str,
    replica: str,
    per_page: int,
    search_after: str | None,
    json_request_body: dict[str, Any],
) -> Response:
    """Answer a page of the bundle versions that a query finds on a replica, highest UUID first."""
    es_query = json_request_body["es_query"]
    query, after = parse(es_query), _position(search_after)
    raw = output_format == "raw"
    found = call.dss.index.search(
        replica, query, after=after, count=_RAW_PER_PAGE if raw else per_page, documents=raw, total=True
    )
    body = {
        "es_query": es_query,
        "results": [_result(call, replica, hit) for hit in found.hits],
        # Left out if counting takes too long: a wrong number would be worse.
        **({} if found.total is None else {"total_hits": found.total}),
    }
    more = call.url(search_after=f"{found.after.uuid},{found.after.version}") if found.after else None
    return page(body, content_key="results", next_url=more)


def _result(call: Call, replica: str, hit: Hit) -> dict[str, Any]:
    query = urlencode({"version": hit.fqid.version, "replica": replica})
    return {
        "bundle_fqid": str(hit.fqid),
        "bundle_url": f"{api_url(call.base_url)}/bundles/{quote(hit.fqid.uuid)}?{query}",
        # Results are in order of FQID, and have no score.
        "search_score": None,
        **({} if hit.document is None else {"metadata": hit.document}),
    }


def _position(search_after: str | None) -> Fqid | None:
    """Return the FQID after which a page begins. Raises IllegalArguments if it is not UUID,VERSION."""
    if not search_after:
        return None
    uuid, comma, version = search_after.partition(",")
    if not comma:
        raise IllegalArguments(f"search_after: {search_after[:80]!r} is not of the form uuid,version")
    return Fqid.parse(f"{uuid}.{version}", "search_after")
