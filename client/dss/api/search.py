"""What a client asks of search; a part of `dss.client.Client`."""

from collections.abc import Iterator, Mapping
from typing import Any

from dss.api.calls import Calls


class SearchCalls(Calls):
    """Bundle versions by their content."""

    def search(self, query: Mapping[str, Any], *, raw: bool = False) -> Iterator[dict[str, Any]]:
        """Yield what an Elasticsearch query finds, last UUID first, as `bundle_fqid` and `bundle_url`.

        With `raw` each has its `metadata`, too. Raises CallFailed, naming the clause, for a query that is not
        served.
        """
        output_format = "raw" if raw else "summary"
        call = self._call("POST", "search", {"es_query": query}, output_format=output_format, per_page=500)
        for page in self._pages(call):
            yield from page["results"]
