"""`dss collection`: your lists of links to files, bundles and other collections."""

from typing import Any, TextIO
from uuid import uuid4

import click

from dss import tokens
from dss.clock import SystemClock, new_version
from dss.commands.consent import agree, dry_run, yes
from dss.commands.context import TEXT_FILE, Context, shared_options
from dss.commands.help import examples
from dss.commands.json_input import json_in, name_of, object_in
from dss.errors import InvalidInput
from dss.references import resolve


@click.group()
@shared_options
def collection() -> None:
    """Keep collections: lists of links to files, bundles, collections and fragments of JSON files."""


@collection.command(
    "put",
    epilog=examples(
        "dss collection put mine.json",
        "dss collection put mine.json --uuid UUID         # a new version of this collection",
    ),
)
@click.argument("file", metavar="FILE", type=TEXT_FILE)
@click.option("--uuid", metavar="UUID", help="UUID of the collection  [default: a new one]")
@click.option("--version", metavar="VERSION", help="Version of the collection  [default: now]")
@shared_options
@click.pass_obj
def put(context: Context, file: TextIO, uuid: str | None, version: str | None) -> int:
    """Make a collection from a JSON FILE (- is stdin) with name, description, details and contents.

    The contents are a list of links: {"type": "file", "uuid": …, "version": …}, and a "path" for a fragment.
    More than 1,000 of them make several versions; the last is printed.
    """
    tokens.check_usable(context.token)
    definition = object_in(file)
    about = {name: definition[name] for name in ("name", "description", "details") if name in definition}
    client = context.client()
    uuid = resolve(uuid, url=client.url, kind="collection").uuid if uuid else str(uuid4())
    version = version or new_version(SystemClock())
    newest = client.put_collection(uuid, version, _items_in(definition, file), **about)
    context.show({"uuid": uuid, "version": newest, "replica": context.replica}, f"{uuid}.{newest}")
    return 0


@collection.command("get", epilog=examples("dss collection get UUID", "dss collection get UUID.VERSION"))
@click.argument("collection")
@click.option("--version", metavar="VERSION", help="Version of the collection  [default: the newest]")
@shared_options
@click.pass_obj
def get(context: Context, collection: str, version: str | None) -> int:
    """Print a collection with all of its contents, as JSON."""
    context.show(context.client().collection(collection, version))
    return 0


@collection.command("list", epilog=examples("dss collection list"))
@shared_options
@click.pass_obj
def list_collections(context: Context) -> int:
    """List your collections, each in its newest version, as UUID.VERSION."""
    rows = context.client().collections()
    if context.json:
        context.show({"collections": list(rows)})
        return 0
    for row in rows:
        print(f"{row['uuid']}.{row['version']}")
    return 0


@collection.command(
    "patch",
    epilog=examples(
        "dss collection patch UUID --add links.json --name 'Cortex, checked'",
        "dss collection patch UUID.VERSION --remove links.json",
    ),
)
@click.argument("collection")
@click.option("--version", metavar="VERSION", help="Version to start from  [default: the newest]")
@click.option("--add", metavar="FILE", type=TEXT_FILE, help="JSON: links to add, a list or under contents.")
@click.option("--remove", metavar="FILE", type=TEXT_FILE, help="JSON: links to remove, in the same form.")
@click.option("--name", help="The new name.")
@click.option("--description", help="The new description.")
@click.option(
    "--details", metavar="FILE", type=TEXT_FILE, help="JSON: the new details, which replace the old."
)
@shared_options
@click.pass_obj
def patch(
    context: Context,
    /,
    collection: str,
    version: str | None,
    add: TextIO | None,
    remove: TextIO | None,
    details: TextIO | None,
    **about: str | None,
) -> int:
    """Make a new version: remove links, then add links. The old version does not change."""
    tokens.check_usable(context.token)
    changes: dict[str, Any] = {"add": _items_of(add), "remove": _items_of(remove), **about}
    changes["details"] = object_in(details) if details else None
    client = context.client()
    found = resolve(collection, version, url=client.url, kind="collection")
    start = found.version or client.collection(found.uuid)["version"]
    newest = client.patch_collection(found.uuid, start, **changes)
    context.show(
        {"uuid": found.uuid, "version": newest, "replica": context.replica}, f"{found.uuid}.{newest}"
    )
    return 0


@collection.command(
    "delete",
    epilog=examples(
        "dss collection delete UUID --dry-run",
        "dss collection delete UUID --yes",
    ),
)
@click.argument("collection")
@dry_run
@yes
@shared_options
@click.pass_obj
def delete(context: Context, collection: str, dry_run: bool, yes: bool) -> int:
    """Hide a collection, with all of its versions, on all replicas, for ever."""
    tokens.check_usable(context.token)
    client = context.client()
    found = resolve(collection, url=client.url, kind="collection")
    if found.version:
        raise InvalidInput(f"{found.fqid} is one version; only the whole collection can go: {found.uuid}")
    result = {"uuid": found.uuid, "replica": context.replica}
    if dry_run:
        links = len(client.collection(found.uuid)["contents"])
        context.show({**result, "dry_run": True}, f"would hide {found.uuid}, of {links:,} links")
        return 0
    agree(f"hide collection {found.uuid}, with all of its versions,", yes=yes)
    client.delete_collection(found.uuid)
    context.show(result, f"{found.uuid} is hidden")
    return 0


def _items_of(file: TextIO | None) -> list[Any]:
    if file is None:
        return []
    content = json_in(file)
    return _items_in({"contents": content} if isinstance(content, list) else content, file)


def _items_in(content: Any, file: TextIO) -> list[Any]:
    items = content.get("contents") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise InvalidInput(f'{name_of(file)} must have a list of links under "contents"')
    return items
