"""`purge`, `purge-undo` and `purge-removal`: remove for good what somebody has withdrawn.

Options of `purge`: `name` (a UUID or UUID.VERSION), `reason`, `with_files` (false: also the files of its
bundles that no other bundle names), and, the second time, `email` (of the admin) and `confirmation`. A run
without it changes nothing: each line of the report is something that is removed or refers to it, and the
result has the code that confirms exactly this. A run with the code makes the preview again: if it differs,
nothing is purged; else no read sees what it names from then on. After DSS_PURGE_GRACE_HOURS a
`purge-removal`, which the sweep starts, removes it.

Options of `purge-undo`, within that time: `name`, `email`. Options of `purge-removal`: none.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from shared.catalog import AdminRun, Purge, may_begin_again
from shared.errors import Conflict, DssError, Forbidden, IllegalArguments, NotFound, Unavailable
from shared.identifiers import Fqid, check_uuid, moment_of
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.jobs.purge_undo import restore_purged
from shared.jobs.reports import Reports
from shared.parallel import map_in_threads
from shared.purges.preview import Line, Subject
from shared.purges.records import declare, is_due, last_of, new_purge, newest, part, undo
from shared.purges.removal import remove
from shared.retry import retry
from shared.system import Dss
from shared.workflows import ADMINISTER

REMOVAL = "purge-removal"
_AT_ONCE = 8
_BATCH = 100
# Runs among which a removal is looked for that is under way.
_RECENT = 50
_ABANDONED_AFTER = timedelta(hours=1)
_CODE_DIGITS = 32
# Lines that tell what is found now, and may differ a moment later, without a decision being another one.
_PASSING = ("document", "search_entry", "journal", "shared_checkout")


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a purge. Raises IllegalArguments, and Forbidden if a person is no admin."""
    uuid, version = _name(argument)
    confirmation = argument.text("confirmation", "")
    return {
        "uuid": uuid,
        "version": version,
        "reason": argument.text("reason"),
        "with_files": argument.flag("with_files"),
        "confirmation": confirmation,
        "email": _admin(dss, argument, required=bool(confirmation)),
    }


def _name(argument: Argument) -> tuple[str, str]:
    text = argument.text("name")
    if "." in text:
        fqid = Fqid.parse(text, "name")
        return fqid.uuid, fqid.version
    return check_uuid(text, "name"), ""


def _admin(dss: Dss, argument: Argument, *, required: bool) -> str:
    email = argument.text("email", "")
    if required and not email:
        raise IllegalArguments("email: say which admin confirms this")
    if email and email not in dss.settings.admin_user_emails:
        raise Forbidden(f"email: {email[:80]!r} is not in ADMIN_USER_EMAILS")
    return email


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Preview, and then purge, from the cursor on; see `JobType`."""
    stage = run.cursor.get("stage", "subject")
    if stage == "declare":
        return _declare(dss, run, page)
    subject = Subject(dss, run.options["uuid"], run.options["version"])
    if stage == "subject":
        return _preview(run, page, subject)
    return _preview_collections(dss, run, page, subject)


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Preview from the cursor on, check the code if there is one, and purge nothing; see `JobType`."""
    cursor = work(dss, run, page)
    return None if cursor and cursor["stage"] == "declare" else cursor


def _preview(run: AdminRun, page: Page, subject: Subject) -> dict[str, Any]:
    """Report all but the collections that link to it."""
    if not subject.is_known:
        raise NotFound(f"name: nothing is known of {_named(run)}")
    chain = _linked("", [_named(run), run.options["reason"], run.options["with_files"]])
    for line in subject.removed():
        chain = _reported(page, chain, line)
    for line in subject.referring():
        chain = _reported(page, chain, line)
    for line in subject.files_of_bundles() if run.options["with_files"] else ():
        chain = _reported(page, chain, line)
    return {"stage": "collections", "chain": chain, "after": ""}


def _named(run: AdminRun) -> str:
    uuid, version = run.options["uuid"], run.options["version"]
    return f"{uuid}.{version}" if version else str(uuid)


def _reported(page: Page, chain: str, line: Line) -> str:
    page.report(line)
    page.count(**{next(iter(line)): 1})
    return chain if next(iter(line)) in _PASSING else _linked(chain, [dict(line)])


def _linked(chain: str, link: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps([chain, *link], sort_keys=True).encode()).hexdigest()


def _preview_collections(dss: Dss, run: AdminRun, page: Page, subject: Subject) -> dict[str, Any] | None:
    """Report the collections that link to it, from the cursor on; then return or check the code."""
    chain, after = run.cursor["chain"], run.cursor["after"]
    heads = (head for head in dss.catalog.scan.collections(after) if str(head.fqid) > after)
    while batch := list(islice(heads, min(_BATCH, run.options["page"]))):
        linking = map_in_threads(subject.links_in, batch, threads=_AT_ONCE)
        for head, links in zip(batch, linking, strict=True):
            if links:
                chain = _reported(page, chain, {"links_to_it": f"collections/{head.fqid}"})
        if page.taken(len(batch)):
            return {"stage": "collections", "chain": chain, "after": str(batch[-1].fqid)}
    return _confirmed(dss, run, page, chain[:_CODE_DIGITS])


def _confirmed(dss: Dss, run: AdminRun, page: Page, code: str) -> dict[str, Any] | None:
    """Return the cursor with which purging begins if the run has the code of the preview; else None."""
    if not run.options["confirmation"]:
        hours = dss.settings.purge_grace_hours
        page.result = {
            "confirmation": code,
            "then": f"no read sees it from the confirmation on; it is removed {hours} hours later",
        }
        return None
    if run.options["confirmation"] != code:
        raise Conflict(
            "confirmation: it does not match the present preview of this name, reason and options. "
            "Nothing was purged; make a new preview"
        )
    uuid, version, by = (run.options[name] for name in ("uuid", "version", "email"))
    purge = new_purge(dss, uuid, version, reason=run.options["reason"], by=by)
    return {
        "stage": "declare",
        "time": purge.fqid.version,
        "due": purge.due,
        "part": 0,
        "parts": run.parts + 1,
        "number": 0,
    }


def _declare(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Purge what is named, and then the files that the preview has, from the cursor on."""
    purge = Purge(
        fqid=Fqid(run.options["uuid"], run.cursor["time"]),
        of=run.options["version"],
        reason=run.options["reason"],
        by=run.options["email"],
        due=run.cursor["due"],
    )
    at, parts, number = (int(run.cursor[name]) for name in ("part", "parts", "number"))
    if at == 0:
        retry(dss.clock, partial(declare, dss, purge))
        page.report({"purged": purge.subject, "record": str(purge.fqid), "removed_after": purge.due})
        page.count(purged=1)
        page.result = {"removed_after": purge.due}
        return {**run.cursor, "part": 1}
    reports = Reports(dss)
    while at <= parts:
        files = [Fqid.parse(line["with_file"]) for line in reports.lines(run, at) if "with_file" in line]
        numbered = [part(purge, number + offset, file) for offset, file in enumerate(files, 1)]
        for record in numbered:
            # One after the other: most of these change the same bundle.
            retry(dss.clock, partial(declare, dss, record))
            page.report({"purged": record.subject, "record": str(record.fqid)})
            page.count(purged=1)
        number += len(files)
        at += 1
        if page.taken(len(files)):
            return {**run.cursor, "part": at, "number": number}
    return None


def check_undo(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of an undoing. Raises as `check`."""
    uuid, version = _name(argument)
    return {"uuid": uuid, "version": version, "email": _admin(dss, argument, required=True)}


def work_undo(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Give back the files that were purged with it, from the cursor on, and then what is named."""
    first = _to_undo(dss, run)
    after = run.cursor.get("after", "")
    parts = (one for one in dss.catalog.purges.parts_of(first) if not one.undone and str(one.fqid) > after)
    while batch := list(islice(parts, min(_BATCH, run.options["page"]))):
        for purge in batch:
            _restore(dss, run, page, purge)
        if page.taken(len(batch)):
            return {"after": str(batch[-1].fqid)}
    _restore(dss, run, page, first)
    return None


def preview_undo(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be given back; see `JobType`."""
    first = _to_undo(dss, run)
    for purge in (*(one for one in dss.catalog.purges.parts_of(first) if not one.undone), first):
        page.report({"undone": purge.subject})
        page.count(undone=1)
    return None


def _to_undo(dss: Dss, run: AdminRun) -> Purge:
    """Return the record that an undoing begins with. Raises NotFound, and Conflict if it is too late."""
    last = last_of(dss, run.options["uuid"], run.options["version"])
    if last is None:
        raise NotFound(f"name: {_named(run)} was not purged")
    if not last.undone and is_due(dss, last):
        raise Conflict(f"name: the grace period of {_named(run)} ended at {last.due}; it can't be undone")
    if not last.undone:
        return last
    # A run that was killed has undone it, and perhaps not to the end.
    return next(
        purge
        for purge in reversed(dss.catalog.purges.of_uuid(run.options["uuid"]))
        if purge.of == last.of and not purge.undone
    )


def _restore(dss: Dss, run: AdminRun, page: Page, purge: Purge) -> None:
    retry(dss.clock, partial(undo, dss, purge, run.options["email"]))
    restored = retry(dss.clock, partial(restore_purged, dss, purge))
    page.report({"undone": purge.subject, "restored": restored})
    page.count(undone=1)


def check_removal(_: Dss, __: Argument) -> dict[str, Any]:
    """Return the options of a removal: none."""
    return {}


def work_removal(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Remove what is due, and finish what was left half-done, from the cursor on; see `JobType`."""
    after = run.cursor.get("after", "")
    for purge in (one for one in dss.catalog.purges.unfinished() if str(one.fqid) > after):
        try:
            _follow(dss, purge, page)
        except Unavailable:
            # The workflow tries the step again.
            raise
        except DssError as error:
            page.count(failed=1)
            page.report({"failed": error.title, "name": purge.subject})
        if page.taken():
            return {"after": str(purge.fqid)}
    return None


def preview_removal(dss: Dss, _: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be removed, and what would be finished; see `JobType`."""
    for purge in dss.catalog.purges.unfinished():
        if not purge.scrubbed:
            page.report({"finished": purge.subject})
            page.count(finished=1)
        if newest(dss, purge) == purge and not purge.undone and is_due(dss, purge):
            page.report({"removed": purge.subject})
            page.count(removed=1)
    return None


def _follow(dss: Dss, purge: Purge, page: Page) -> None:
    """Do what is left to do about a record. One that another has replaced stays as an object, as all do."""
    if not purge.scrubbed:
        # The run that declared it was killed, perhaps before it was in effect, and nobody has resumed it.
        retry(dss.clock, partial(declare, dss, purge))
        page.report({"finished": purge.subject})
        page.count(finished=1)
    if newest(dss, purge) != purge:
        dss.catalog.purges.close(purge)
    elif not purge.undone and is_due(dss, purge):
        counts = retry(dss.clock, partial(remove, dss, purge))
        page.report({"removed": purge.subject, **counts})
        page.count(removed=1, **counts)


def start_due_removals(dss: Dss) -> bool:
    """Start a removal if there is work for it and none is running; return whether one was started.

    For the sweep. A read for each open record, and some for each that is due.
    """
    if not any(_needs_work(dss, purge) for purge in dss.catalog.purges.unfinished()):
        return False
    removals = (run for run in dss.catalog.runs.newest(_RECENT) if run.kind == REMOVAL)
    # One that was killed says for ever that it is running.
    if any(not may_begin_again(run, dss.clock.now()) for run in removals):
        return False
    dss.workflows.start(ADMINISTER, {"kind": REMOVAL})
    return True


def _needs_work(dss: Dss, purge: Purge) -> bool:
    if not purge.undone and is_due(dss, purge) and newest(dss, purge) == purge:
        return True
    # A run is likely to be at work on a record that was made a short while ago.
    made = moment_of(purge.fqid.version)
    return not purge.scrubbed and dss.clock.now() - made > _ABANDONED_AFTER
