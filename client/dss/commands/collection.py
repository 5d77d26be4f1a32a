"""`dss collection`: one's lists of links."""

import json
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import click

from dss import tokens
from dss.clock import SystemClock, new_version
from dss.commands.context import Context, shared_options
from dss.errors import Refused

_TEXT = click.File(encoding="utf-8")


@click.group()
@shared_options
def collection() -> None:
    """Keep collections: lists of links to files, bundles, collections and fragments of JSON files."""


@collection.command("put")
@click.argument("file", metavar="FILE", type=_TEXT)
@click.option("--uuid", metavar="UUID", help="UUID of the collection  [default: a new one]")
@click.option("--version", metavar="VERSION", help="Version of the collection  [default: now]")
@shared_options
@click.pass_obj
def put(context: Context, file: TextIO, uuid: str | None, version: str | None) -> int:
    """Make a collection of a JSON FILE (- is stdin) with name, description, details and contents.

    Contents are a list of links: {"type": "file", "uuid": …, "version": …}, and a "path" for a fragment.
    More than 1,000 of them make several versions; the last is printed.
    """
    tokens.check_usable(context.token)
    given = _object_in(file)
    about = {name: given[name] for name in ("name", "description", "details") if name in given}
    uuid, version = uuid or str(uuid4()), version or new_version(SystemClock())
    made = context.client().put_collection(uuid, version, _items_in(given, file), **about)
    context.show({"uuid": uuid, "version": made, "replica": context.replica}, f"{uuid}.{made}")
    return 0


@collection.command("get")
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version of the collection  [default: the newest]")
@shared_options
@click.pass_obj
def get(context: Context, uuid: str, version: str | None) -> int:
    """Print a collection with all of its contents, as JSON."""
    context.show(context.client().collection(uuid, version))
    return 0


@collection.command("list")
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


@collection.command("patch")
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version to start from  [default: the newest]")
@click.option("--add", metavar="FILE", type=_TEXT, help="JSON: links to add, in a list or under contents.")
@click.option("--remove", metavar="FILE", type=_TEXT, help="JSON: links to remove, likewise.")
@click.option("--name", help="The new name.")
@click.option("--description", help="The new description.")
@click.option("--details", metavar="FILE", type=_TEXT, help="JSON: the new details, in place of the old.")
@shared_options
@click.pass_obj
def patch(
    context: Context,
    /,
    uuid: str,
    version: str | None,
    add: TextIO | None,
    remove: TextIO | None,
    details: TextIO | None,
    **chosen: str | None,
) -> int:
    """Make a new version: links are removed, then added. The old version stays as it is."""
    tokens.check_usable(context.token)
    about: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if details:
        about["details"] = _object_in(details)
    client = context.client()
    made = client.patch_collection(
        uuid,
        version or client.collection(uuid)["version"],
        add=_items_of(add),
        remove=_items_of(remove),
        **about,
    )
    context.show({"uuid": uuid, "version": made, "replica": context.replica}, f"{uuid}.{made}")
    return 0


@collection.command("delete")
@click.argument("uuid")
@shared_options
@click.pass_obj
def delete(context: Context, uuid: str) -> int:
    """Hide a collection, with all of its versions, on all replicas, for ever."""
    tokens.check_usable(context.token)
    context.client().delete_collection(uuid)
    context.show({"uuid": uuid, "replica": context.replica}, f"{uuid} is hidden")
    return 0


def _items_of(file: TextIO | None) -> list[Any]:
    if file is None:
        return []
    given = _json_in(file)
    return _items_in({"contents": given} if isinstance(given, list) else given, file)


def _items_in(given: Any, file: TextIO) -> list[Any]:
    items = given.get("contents") if isinstance(given, dict) else None
    if not isinstance(items, list):
        raise Refused(f'{_name_of(file)}: a list of links is wanted, under "contents"')
    return items


def _object_in(file: TextIO) -> dict[str, Any]:
    given = _json_in(file)
    if not isinstance(given, dict):
        raise Refused(f"{_name_of(file)}: a JSON object is wanted")
    return given


def _json_in(file: TextIO) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise Refused(f"{_name_of(file)}: is not JSON: {error}") from error


def _name_of(file: TextIO) -> str:
    return Path(file.name).name
