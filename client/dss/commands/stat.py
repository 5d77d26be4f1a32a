"""`dss stat`: what is known of a bundle, or of a file of it."""

from dataclasses import asdict
from typing import Any

import click

from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import NoSuchName
from dss.references import resolve


@click.command(
    epilog=examples(
        "dss stat UUID",
        "dss stat UUID/links.json",
        "dss stat --json https://dss.example.org/browse/bundles/UUID",
    )
)
@click.argument("bundle", metavar="BUNDLE[/NAME]")
@bundle_version
@shared_options
@click.pass_obj
def stat(context: Context, bundle: str, version: str | None) -> int:
    """Show size and number of files of a bundle, or size, type, checksums and UUID of a file of it."""
    client = context.client()
    found = resolve(bundle, version, url=client.url, named=True)
    files = client.files(found.fqid)
    if found.name:
        rows = [asdict(file) for file in files if file.name == found.name]
        if not rows:
            raise NoSuchName.of(files.fqid, found.name, [file.name for file in files])
        described = {"bundle": files.fqid, **rows[0]}
    else:
        described = {
            "uuid": files.uuid,
            "version": files.version,
            "replica": context.replica,
            "files": len(files),
            "indexed": sum(file.indexed for file in files),
            "size": files.size,
        }
    context.show(described, _table(described))
    return 0


def _table(described: dict[str, Any]) -> str:
    width = max(map(len, described))
    return "\n".join(
        f"{name.replace('_', ' '):<{width}}  {_text(value)}" for name, value in described.items()
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
