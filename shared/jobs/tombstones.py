"""`tombstones`: hides the bundles of a list, after a preview and a confirmation of exactly this preview.

Options: `list` (the `gs://` URL of an object with a UUID or UUID.VERSION a line), `reason`, `email` (of the
admin who hides them), and, the second time, `confirmation`. A run without it changes nothing: each line of
the report is what a line of the list would hide, and the result has the code that confirms exactly this. A
run with the code makes the preview again: if it differs, the run hides nothing. It checks each bundle once
more before it hides it.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

from shared.bundles import delete_bundle
from shared.catalog import AdminRun, BundleHead, BundleTombstone
from shared.errors import Conflict, DssError, Forbidden, IllegalArguments, NotFound, Unavailable
from shared.identifiers import Fqid, check_uuid
from shared.jobs.argument import Argument
from shared.jobs.lists import Line, check_list, read_list
from shared.jobs.page import Page
from shared.jobs.reports import Reports
from shared.parallel import map_in_threads
from shared.retry import retry
from shared.system import Dss

_AT_ONCE = 8
_BATCH = 100
_CODE_DIGITS = 32


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments, Forbidden, and the errors of the list's store."""
    email = argument.text("email")
    if email not in dss.settings.admin_user_emails:
        raise Forbidden(f"email: {email[:80]!r} is not in ADMIN_USER_EMAILS")
    return {
        "email": email,
        "reason": argument.text("reason"),
        "confirmation": argument.text("confirmation", ""),
        **check_list(dss, argument.text("list")),
    }


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Preview, and then hide, from the cursor on; see `JobType`."""
    if run.cursor.get("stage") == "hide":
        return _hide(dss, run, page)
    return _preview(dss, run, page)


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Preview from the cursor on, check the code if there is one, and hide nothing; see `JobType`."""
    cursor = _preview(dss, run, page)
    return None if cursor and cursor.get("stage") == "hide" else cursor


def _preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be hidden; at the end of the list, return or check the code of the preview."""
    chain = run.cursor.get("chain") or _linked("", [run.options["reason"], run.options["email"]])
    lines = read_list(dss, run.options["list"], run.options["list_revision"], run.cursor)
    while batch := list(islice(lines, min(_BATCH, run.options["page"]))):
        for row in map_in_threads(partial(_previewed, dss), batch, threads=_AT_ONCE):
            chain = _linked(chain, [row["bundle"], row["hides"], row["known"]])
            page.report(row)
            page.count(
                bundles=1, unknown=int(not row["known"]), versions=len(row["hides"]), files=row["files"]
            )
        if page.taken(len(batch)):
            return {**batch[-1].cursor, "chain": chain}
    return _confirmed(run, page, chain[:_CODE_DIGITS])


def _confirmed(run: AdminRun, page: Page, code: str) -> dict[str, Any] | None:
    """Return the cursor with which hiding begins if the run has the code of the preview; else None."""
    counts = {name: run.counts.get(name, 0) + page.counts[name] for name in ("bundles", "unknown")}
    if counts["bundles"] == 0:
        raise IllegalArguments(f"list: {run.options['list']} has no lines")
    if not run.options["confirmation"]:
        unknown = f"{counts['unknown']} of {counts['bundles']} lines name no bundle; see the report"
        page.result = {"refused": unknown} if counts["unknown"] else {"confirmation": code}
        return None
    if run.options["confirmation"] != code:
        raise Conflict(
            "confirmation: it does not match the present preview of this list, reason and e-mail. "
            "Nothing was hidden; run a new preview"
        )
    # The parts of the report up to this one are the preview, from which `_hide` reads.
    return {"stage": "hide", "part": 1, "parts": run.parts + 1, "index": 0}


def _previewed(dss: Dss, line: Line) -> dict[str, Any]:
    """Return a line of the report: what a line of the list would hide."""
    uuid, dot, _ = line.text.partition(".")
    try:
        fqid = Fqid.parse(line.text) if dot else None
        uuid = fqid.uuid if fqid else check_uuid(uuid)
    except IllegalArguments as error:
        raise IllegalArguments(f"{line.where}: {error.title}") from error
    version = fqid.version if fqid else None
    heads = retry(dss.clock, partial(_heads, dss, uuid, version))
    visible = [head for head in heads if not head.hidden]
    tombstone = retry(dss.clock, partial(dss.catalog.scan.tombstone, uuid, version))
    hidden = tombstone.tombstone if tombstone else None
    return {
        "line": line.number,
        "bundle": str(fqid or uuid),
        "known": bool(heads),
        "hides": [head.fqid.version for head in visible],
        "files": sum(head.file_count for head in visible),
        **({"hidden_before": f"by {hidden.email}: {hidden.reason}"} if hidden else {}),
    }


def _heads(dss: Dss, uuid: str, version: str | None) -> list[BundleHead]:
    """Return the versions under a tombstone, hidden or not, that are on some replica."""
    if version is None:
        heads = dss.catalog.bundles.versions(uuid)
    else:
        heads = [head for head in [dss.catalog.bundles.head(Fqid(uuid, version))] if head]
    return [head for head in heads if head.available]


def _linked(chain: str, link: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps([chain, *link]).encode()).hexdigest()


def _hide(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Hide what the preview says, which is in the first parts of this run's report."""
    part, parts, index = (int(run.cursor[name]) for name in ("part", "parts", "index"))
    reports = Reports(dss)
    while part <= parts:
        preview = [line for line in reports.lines(run, part) if "bundle" in line]
        while batch := preview[index : index + min(_BATCH, run.options["page"])]:
            for done in map_in_threads(partial(_hidden, dss, run), batch, threads=_AT_ONCE):
                page.report(done)
                page.count(hidden=int("hidden" in done), refused=int("refused" in done))
            index += len(batch)
            if page.taken(len(batch)):
                return {"stage": "hide", "part": part, "parts": parts, "index": index}
        part, index = part + 1, 0
    return None


def _hidden(dss: Dss, run: AdminRun, preview: dict[str, Any]) -> dict[str, Any]:
    """Hide a bundle, unless it has more versions than in the preview; return a line of the report."""
    uuid, _, version = preview["bundle"].partition(".")
    tombstone = BundleTombstone(
        uuid=uuid, version=version or None, email=run.options["email"], reason=run.options["reason"]
    )
    try:
        heads = retry(dss.clock, partial(_heads, dss, uuid, version or None))
        new = {head.fqid.version for head in heads if not head.hidden} - set(preview["hides"])
        if new:
            raise Conflict(f"it has versions that the preview did not have: {', '.join(sorted(new))}")
        names = [name for name in dss.replicas.names if any(name in head.available for head in heads)]
        if not names:
            raise NotFound("no replica has it now")
        retry(dss.clock, partial(delete_bundle, dss, names[0], tombstone))
    except Unavailable:
        # The workflow tries the step again; bundles that are hidden stay hidden.
        raise
    except DssError as error:
        return {"refused": error.title, "name": preview["bundle"]}
    return {"hidden": preview["hides"], "name": preview["bundle"]}
