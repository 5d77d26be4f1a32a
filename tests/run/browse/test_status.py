"""The state of the system: to operators all of it, to others what everybody may know; and reports of runs."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from run.api.app import create_app
from run.api.bounded_reads import BoundedReads
from run.browse.run_reports import _MOST_LINES, _whole_lines  # what a page reads of a report
from run.browse.status import _KEPT_SECONDS, _READS, PARTS
from shared.catalog import AdminRun
from shared.events.publishing import publish_event
from shared.explore.base import NoCatalogues
from shared.identifiers import Fqid, Kind, manifest_key
from shared.kinds import KINDS
from shared.maintenance.sweep import backlogs
from shared.messages import ObjectEvent
from shared.system import Dss
from tests.run.api.test_access import bind
from tests.run.browse.conftest import EVIL, OWN, SAMPLES, Page, Pages
from tests.run.browse.test_looks import bundle_of, facts, new_file
from tests.support.api import new_uuid
from tests.support.clouds import Clouds
from tests.support.waiting import SLOWNESS

ROOT = Path(__file__).parents[3]
OPEN = [part.title for part in PARTS if part.is_public]


def parts(page: Page) -> list[str]:
    return [each.text for each in page.all("h2")]


def patient_client(dss: Dss) -> FlaskClient:
    """Return a client of a new API that waits for each part of the page.

    The emulator counts by reading all that other tests have left, which may take longer than people wait.
    """
    app = create_app(dss)
    app.extensions[_READS] = BoundedReads(len(PARTS), seconds=SLOWNESS * 30, kept=_KEPT_SECONDS)
    return app.test_client()


@pytest.fixture
def operators(pages: Pages) -> Iterator[Pages]:
    """The pages of a process that has kept nothing yet."""
    yield replace(pages, client=patient_client(pages.service.dss))


def test_strangers_see_what_everybody_may_know(operators: Pages) -> None:
    for by in (None, operators.service.writer):
        page = operators.get("/browse/status", by=by)
        assert parts(page) == OPEN
        assert "answers" in page.text
        assert "dss admin" not in page.text
        assert SAMPLES in page.text
        assert "bundle version" not in page.text


def test_operators_see_all_of_it_with_the_command_that_helps(operators: Pages, clouds: Clouds) -> None:
    operators.service.fail(OWN, Fqid(new_uuid(), "2024-03-01T120000.000000Z"), EVIL)
    file = new_file(operators, clouds, b"only in gcp")

    page = operators.get("/browse/status", by=operators.service.admin)

    assert parts(page) == [part.title for part in PARTS]
    assert "Unknown" not in page.text
    assert EVIL not in page.html
    assert EVIL in page.text
    for part in PARTS:
        assert all(command in page.text for command in part.command.split("; "))
    lacks = re.compile(r"(Look at this: )?aws [1-9][\d,]*( or more)? \d")
    assert [row for row in page.all("tr") if lacks.match(row.text)], f"{file} is not there"
    assert page.size < 100_000


def test_the_help_of_each_part_is_there() -> None:
    for part in PARTS:
        name, _, anchor = part.help.partition("#")
        titles = [
            line.lstrip("#").strip() for line in (ROOT / name).read_text().splitlines() if line[:1] == "#"
        ]
        assert anchor in {
            "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-") for title in titles
        }


def test_a_part_that_does_not_answer_is_unknown_and_the_others_are_there(
    operators: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("shared.explore.postgresql.upkeep.Upkeep.stored")
    page = operators.get("/browse/status", by=operators.service.admin)

    assert page.text.count("Unknown:") == 1
    assert parts(page) == [part.title for part in PARTS]


def test_a_system_without_catalogues_has_a_state(operators: Pages) -> None:
    dss = replace(operators.service.dss, catalogues=NoCatalogues())
    bare = replace(operators, client=patient_client(dss))

    page = bare.get("/browse/status", by=operators.service.admin)

    assert "Unknown" not in page.text
    assert page.text.count("None.") >= 3


def test_a_backlog_is_counted_as_far_as_is_wanted_with_its_dead_letters(pages: Pages, clouds: Clouds) -> None:
    dss = pages.service.dss
    versions = [new_file(pages, clouds, b"one"), new_file(pages, clouds, b"two")]
    all_of_them = {each.replica: each for each in backlogs(dss)}["aws"]
    assert all_of_them.is_all
    assert all_of_them.objects >= 2
    first = {each.replica: each for each in backlogs(dss, most=1)}["aws"]
    assert not first.is_all
    assert first.objects < all_of_them.objects
    assert first.oldest_seconds <= all_of_them.oldest_seconds + 60

    kind = KINDS[Kind.FILE, False]
    until = dss.clock.now() + timedelta(days=1)
    dss.catalog.backlog.leave_alone(
        kind, kind.name(versions[0].uuid, versions[0].version), "sync", until=until
    )
    assert {each.replica: each for each in backlogs(dss)}["aws"].left_alone == all_of_them.left_alone + 1


def test_a_run_shows_what_it_found_a_page_at_a_time(operators: Pages, run: AdminRun) -> None:
    admin = operators.service.admin
    status = operators.get("/browse/status", by=admin)
    page = operators.get(status.link(run.id), by=admin)

    assert (facts(page)["State"], facts(page)["Findings"]) == ("SUCCEEDED", "121")
    assert facts(page)["Report"].startswith("gs://")
    assert EVIL not in page.html
    shown = [cell.text for cell in page.all("td") if cell.text.startswith("blobs/")]
    while any(link.text == "Next lines" for link in page.all("a")):
        page = operators.get(page.link("Next lines"), by=admin)
        assert page.size < 100_000
        shown += [cell.text for cell in page.all("td") if cell.text.startswith("blobs/")]
    assert shown == [f"blobs/1-{line}" for line in range(120)]
    second = operators.get(page.link("Next part"), by=admin)
    assert second.all("td")[0].text == "blobs/2-0"
    assert "No such part" in operators.get(f"/browse/status/runs/{run.id}", part=9, by=admin).text


def test_a_run_is_for_operators_alone(operators: Pages, run: AdminRun) -> None:
    path = f"/browse/status/runs/{run.id}"
    operators.get(path, status=401)
    operators.get(path, by=operators.service.writer, status=403)
    admin = operators.service.admin
    operators.get("/browse/status/runs/none", by=admin, status=404)
    operators.get("/browse/status/runs/a.b", by=admin, status=400)
    operators.get(path, by=admin, part="x", status=400)
    operators.get("/browse/status", x="1", status=400)


def test_a_run_without_a_report_says_why(operators: Pages) -> None:
    runs = operators.service.dss.catalog.runs
    made = runs.begin(f"pages-{new_uuid()}", "index-check", {}, "execution")
    admin, path = operators.service.admin, f"/browse/status/runs/{made.id}"
    assert "No part of its report is written yet" in operators.get(path, by=admin).text
    runs.advance(made, {"parts": 1})
    assert "is not there any more" in operators.get(path, by=admin).text


@pytest.mark.parametrize("is_last", [True, False])
def test_windows_of_a_report_lose_no_line(is_last: bool) -> None:
    data = b"".join(b"%d\n" % number for number in range(200)) + b"the beginning of a line"
    lines, end = _whole_lines(data, is_last=is_last)
    assert (len(lines), data[:end]) == (_MOST_LINES, b"".join(lines))
    rest, end = _whole_lines(data[-30:], is_last=is_last)
    assert (rest[-1] == b"the beginning of a line") is is_last
    # A line longer than a window is shown in parts.
    assert _whole_lines(b"x" * 99, is_last=False) == ([b"x" * 99], 99)


def test_those_who_ask_often_cost_no_more(operators: Pages) -> None:
    client: FlaskClient = operators.client
    reads: BoundedReads[object] = client.application.extensions[_READS]
    reads._kept = 1e9
    first = operators.get("/browse/status", by=operators.service.admin)
    asked = dict(reads._asked)
    assert operators.get("/browse/status", by=operators.service.admin).text == first.text
    assert reads._asked == asked


def test_a_bundle_shows_its_events_and_who_may_read(pages: Pages, clouds: Clouds) -> None:
    bundle, dss = bundle_of(pages, clouds, "a"), pages.service.dss
    path, lab = f"/browse/bundles/{bundle.uuid}", f"lab-{new_uuid()[:8]}"
    assert "No event of this version is published yet" in pages.get(path).text

    key = manifest_key(Kind.BUNDLE, Fqid(bundle.uuid, bundle.version))
    publish_event(dss, ObjectEvent(replica="gcp", bucket=dss.replicas.primary.bucket, key=key))

    page = pages.get(path)
    assert page.link("CREATE").endswith(f"/v1/events/{bundle.uuid}?version={bundle.version}&replica=gcp")
    assert facts(page)["May be read by"] == "everybody"
    bind(dss, bundle.uuid, lab)
    member = pages.get(path, by=pages.service.member(lab))
    assert facts(member)["May be read by"] == "members of certain groups"
    assert member.link("CREATE")
    admin = pages.get(path, by=pages.service.admin)
    assert facts(admin)["May be read by"] == f"members of certain groups: {lab}"
    bind(dss, bundle.uuid, "signed-in")
    signed_in = pages.get(path, by=pages.service.writer)
    assert facts(signed_in)["May be read by"] == "everybody who has signed in"
