"""`dss search`: find bundle versions by the content of their JSON files."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput


@click.command(
    epilog=examples(
        """dss search '{"query": {"match": {"files.project_json.name": "cortex"}}}'""",
        "dss search @query.json --limit 10",
    )
)
@click.argument("query", metavar="QUERY|@FILE")
@click.option("--raw", is_flag=True, help="Print the metadata documents, one a line.")
@click.option("--limit", type=click.IntRange(1), help="Print at most this many results.")
@shared_options
@click.pass_obj
def search(context: Context, query: str, raw: bool, limit: int | None) -> int:
    """Find bundle versions by an Elasticsearch query, as JSON or in a file (@- is stdin)."""
    results = islice(context.client().search(query_of(query), raw=raw), limit)
    if context.json:
        context.show({"replica": context.replica, "results": list(results)})
        return 0
    for result in results:
        print(json.dumps(result["metadata"]) if raw else result["bundle_fqid"])
    return 0


def query_of(text: str) -> Any:
    """Return a query, given as JSON, or as @FILE. Raises InvalidInput if it is not JSON."""
    try:
        if text.startswith("@"):
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the query is not JSON: {error}") from error
