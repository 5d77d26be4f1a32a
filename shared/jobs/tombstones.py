"""`tombstones`: a list of bundles hidden, after a preview and a confirmation of just what that said.

Options: `list` (the `gs://` URL of an object with a UUID or UUID.VERSION a line), `reason`, `email` (of the
admin who hides them), and, the second time, `confirmation`. Without that nothing is changed: a line of the
report says what a line of the list would hide, and the result has the code that confirms this and nothing
else. With it, all is looked at once more: if anything differs from the preview, nothing is hidden; and again
before each is hidden.
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
from shared.parallel import map_in_threads, retry
from shared.system import Dss

_AT_ONCE = 8
_BATCH = 100
_CODE_DIGITS = 32


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments, Forbidden, and what the list's store raises."""
    email = argument.text("email")
    if email not in dss.settings.admin_user_emails:
        raise Forbidden(f"email: {email[:80]!r} is no admin's (ADMIN_USER_EMAILS)")
    return {
        "email": email,
        "reason": argument.text("reason"),
        "confirmation": argument.text("confirmation", ""),
        **check_list(dss, argument.text("list")),
    }


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Look, and then hide, from the cursor on; see `Kind`."""
    if run.cursor.get("stage") == "hide":
        return _hide(dss, run, page)
    return _look(dss, run, page)


def _look(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be hidden; at the end of the list, say or check the code of all that."""
    chain = run.cursor.get("chain") or _linked("", [run.options["reason"], run.options["email"]])
    lines = read_list(dss, run.options["list"], run.options["list_revision"], run.cursor)
    while batch := list(islice(lines, min(_BATCH, run.options["page"]))):
        for found in map_in_threads(partial(_seen, dss), batch, threads=_AT_ONCE):
            chain = _linked(chain, [found["bundle"], found["hides"], found["known"]])
            page.report(found)
            page.count(
                bundles=1, unknown=int(not found["known"]), versions=len(found["hides"]), files=found["files"]
            )
        if [page.taken() for _ in batch][-1]:
            return {**batch[-1].cursor, "chain": chain}
    return _judged(run, page, chain[:_CODE_DIGITS])


def _judged(run: AdminRun, page: Page, code: str) -> dict[str, Any] | None:
    counts = {name: run.counts.get(name, 0) + page.counts[name] for name in ("bundles", "unknown")}
    if counts["bundles"] == 0:
        raise IllegalArguments(f"{run.options['list']}: there is no line in it")
    if not run.options["confirmation"]:
        unknown = f"{counts['unknown']} of {counts['bundles']} lines name no bundle; see the report"
        page.result = {"refused": unknown} if counts["unknown"] else {"confirmation": code}
        return None
    if run.options["confirmation"] != code:
        raise Conflict(
            "confirmation: it is not that of this list with this reason and e-mail, as things are now. "
            "Nothing was hidden; look at a new preview"
        )
    # The parts of the report that tell what was looked at, this one included, are what is gone by now.
    return {"stage": "hide", "part": 1, "parts": run.parts + 1, "index": 0}


def _seen(dss: Dss, line: Line) -> dict[str, Any]:
    """Return what a line of the list would hide."""
    uuid, dot, _ = line.text.partition(".")
    try:
        fqid = Fqid.parse(line.text) if dot else None
        uuid = fqid.uuid if fqid else check_uuid(uuid)
    except IllegalArguments as error:
        raise IllegalArguments(f"{line.where}: {error.title}") from error
    version = fqid.version if fqid else None
    heads = retry(dss.clock, partial(_heads, dss, uuid, version))
    seen = [head for head in heads if not head.hidden]
    tombstone = retry(dss.clock, partial(dss.catalog.scan.tombstone, uuid, version))
    hidden = tombstone.tombstone if tombstone else None
    return {
        "line": line.number,
        "bundle": str(fqid or uuid),
        "known": bool(heads),
        "hides": [head.fqid.version for head in seen],
        "files": sum(head.file_count for head in seen),
        **({"hidden_before": f"by {hidden.email}: {hidden.reason}"} if hidden else {}),
    }


def _heads(dss: Dss, uuid: str, version: str | None) -> list[BundleHead]:
    """Return the versions that a tombstone would hide, hidden already or not, and on some replica."""
    if version is None:
        heads = dss.catalog.bundles.versions(uuid)
    else:
        heads = [head for head in [dss.catalog.bundles.head(Fqid(uuid, version))] if head]
    return [head for head in heads if head.available]


def _linked(chain: str, link: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps([chain, *link]).encode()).hexdigest()


def _hide(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Hide what this run itself has looked at, as it told of it in the first parts of its report."""
    part, parts, index = (int(run.cursor[name]) for name in ("part", "parts", "index"))
    reports = Reports(dss)
    while part <= parts:
        looked = [line for line in reports.lines(run, part) if "bundle" in line]
        while batch := looked[index : index + min(_BATCH, run.options["page"])]:
            for done in map_in_threads(partial(_hidden, dss, run), batch, threads=_AT_ONCE):
                page.report(done)
                page.count(hidden=int("hidden" in done), refused=int("refused" in done))
            index += len(batch)
            if [page.taken() for _ in batch][-1]:
                return {"stage": "hide", "part": part, "parts": parts, "index": index}
        part, index = part + 1, 0
    return None


def _hidden(dss: Dss, run: AdminRun, looked: dict[str, Any]) -> dict[str, Any]:
    """Hide a bundle, unless there is more to it by now than was looked at."""
    uuid, _, version = looked["bundle"].partition(".")
    tombstone = BundleTombstone(
        uuid=uuid, version=version or None, email=run.options["email"], reason=run.options["reason"]
    )
    try:
        heads = retry(dss.clock, partial(_heads, dss, uuid, version or None))
        new = {head.fqid.version for head in heads if not head.hidden} - set(looked["hides"])
        if new:
            raise Conflict(f"since it was looked at, {', '.join(sorted(new))} came to it")
        names = [name for name in dss.replicas.names if any(name in head.available for head in heads)]
        if not names:
            raise NotFound("no replica has it any more")
        retry(dss.clock, partial(delete_bundle, dss, names[0], tombstone))
    except Unavailable:
        # The step is tried again, and what is hidden stays so.
        raise
    except DssError as error:
        return {"refused": error.title, "name": looked["bundle"]}
    return {"hidden": looked["hides"], "name": looked["bundle"]}
