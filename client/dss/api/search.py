"""Calls about search: bundle versions by the content of their JSON files."""

from collections.abc import Iterator, Mapping
from typing import Any

from dss.api.session import Session


def search(session: Session, query: Mapping[str, Any], *, raw: bool) -> Iterator[dict[str, Any]]:
    """Yield the results of an Elasticsearch query, last UUID first."""
    output_format = "raw" if raw else "summary"
    call = session.call("POST", "search", {"es_query": query}, output_format=output_format, per_page=500)
    for page in session.pages(call, has="results"):
        yield from page["results"]
