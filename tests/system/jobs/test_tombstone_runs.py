"""Bundles of a list are hidden after a preview, and just as that said."""

import os
from typing import Any

import pytest

from shared.catalog import JobState
from tests.support.admin_system import SUCCEEDED, AdminSystem, put_list
from tests.support.api import Version, now, put_bundle, put_file
from tests.support.manual_system import REASON

WHO = {"kind": "tombstones", "reason": "withdrawn by the donor", "email": "admin@example.org"}


@pytest.fixture(scope="module")
def file(system: AdminSystem) -> Version:
    return put_file(system.api, system.clouds.stage("aws", os.urandom(50)))


def bundle(system: AdminSystem, file: Version, uuid: str = "") -> Version:
    version = Version(uuid, now()) if uuid else None
    return put_bundle(system.api, "aws", [file.named("name")], bundle=version)


def status(system: AdminSystem, bundle: Version) -> int:
    path = f"/v1/bundles/{bundle.uuid}"
    return system.api.get(path, replica="aws", version=bundle.version).status_code


def test_a_preview_hides_nothing_and_its_code_hides_just_what_it_showed(
    system: AdminSystem, file: Version
) -> None:
    one, two = bundle(system, file), bundle(system, file)
    again = bundle(system, file, two.uuid)
    kept = bundle(system, file)
    url = put_list(system, [str(one), two.uuid.upper(), f" {one}\r"])

    preview = system.run(**WHO, list=url, page=1)
    before = [status(system, each) for each in (one, two, again, kept)]
    deed = system.run(**WHO, list=url, page=1, confirmation=preview.result["confirmation"])
    after = [status(system, each) for each in (one, two, again, kept)]

    reported = [(line["bundle"], line["hides"], line["files"]) for line in system.report_lines(preview)]
    assert reported == [
        (str(one), [one.version], 1),
        (two.uuid, [two.version, again.version], 2),
        (str(one), [one.version], 1),
    ]
    assert preview.counts == {"bundles": 3, "unknown": 0, "versions": 4, "files": 4}
    assert (before, after) == ([200] * 4, [404, 404, 404, 200])
    assert deed.counts["hidden"] == 3
    assert [line["name"] for line in system.report_lines(deed) if "hidden" in line] == [
        *(str(one), two.uuid, str(one))
    ]
    tombstone = system.dss.catalog.scan.tombstone(two.uuid, None)
    assert tombstone and (tombstone.tombstone.email, tombstone.tombstone.reason) == (
        *(WHO["email"], WHO["reason"]),
    )
    repeated = system.run_and_fail(**WHO, list=url, confirmation=preview.result["confirmation"])
    assert "Nothing was hidden; run a new preview" in repeated


def previewed(system: AdminSystem, lines: list[str], **changes: Any) -> tuple[str, str]:
    url = put_list(system, lines)
    return url, system.run(**{**WHO, **changes}, list=url).result["confirmation"]


def test_what_changed_since_the_preview_is_refused_and_nothing_hidden(
    system: AdminSystem, file: Version
) -> None:
    one, two = bundle(system, file), bundle(system, file)
    lines = [str(one), two.uuid]
    url, code = previewed(system, lines)
    shorter = put_list(system, lines[:1])
    refusals = [
        system.run_and_fail(**WHO, list=shorter, confirmation=code),
        system.run_and_fail(**{**WHO, "reason": "another"}, list=url, confirmation=code),
        system.run_and_fail(**WHO, list=url, confirmation="0" * 32),
    ]
    new = bundle(system, file, two.uuid)
    refusals.append(system.run_and_fail(**WHO, list=url, confirmation=code))

    assert all("Nothing was hidden" in words for words in refusals)
    assert [status(system, each) for each in (one, two, new)] == [200, 200, 200]


def test_a_version_that_comes_between_the_check_and_the_deed_saves_its_bundle(
    system: AdminSystem, file: Version
) -> None:
    one, two, other = (bundle(system, file) for _ in range(3))
    url, code = previewed(system, [one.uuid, two.uuid, str(other)])
    slices = 0

    def stop_behind_check(body: dict[str, Any]) -> int | None:
        nonlocal slices
        slices += body["step"] == "work"
        return 422 if slices == 2 else None

    system.front.rules[""] = stop_behind_check
    name = system.start(**WHO, list=url, confirmation=code)
    system.wait_for_end(name)
    del system.front.rules[""]
    stopped = system.get_run(name)
    new = bundle(system, file, one.uuid)
    answer = system.admin.delete(
        f"/v1/bundles/{other.uuid}", replica="aws", version=other.version, json=REASON
    )
    resumed = system.wait_for_end(system.start(resume=stopped.id))

    assert answer.status_code == 200
    assert (stopped.cursor["stage"], resumed.state) == ("hide", SUCCEEDED)
    run = system.get_run(name)
    assert (run.state, run.attempt) == (JobState.SUCCEEDED, 2)
    reported = {line["name"]: line for line in system.report_lines(run) if "name" in line}
    assert reported[one.uuid]["refused"] == f"it has versions that the preview did not have: {new.version}"
    assert "by another person or for another reason" in reported[str(other)]["refused"]
    assert reported[two.uuid]["hidden"] == [two.version]
    assert (run.counts["hidden"], run.counts["refused"]) == (1, 2)
    assert [status(system, each) for each in (one, new, two)] == [200, 200, 404]


def test_what_is_hidden_already_or_unknown_is_reported(system: AdminSystem, file: Version) -> None:
    hidden, unknown = bundle(system, file), f"{file.uuid}.{file.version}"
    path = f"/v1/bundles/{hidden.uuid}"
    assert system.admin.delete(path, replica="aws", version=None, json=REASON).status_code == 200

    run = system.run(**WHO, list=put_list(system, [hidden.uuid, unknown]))

    first, second = system.report_lines(run)
    assert (first["known"], first["hides"]) == (True, [])
    assert first["hidden_before"] == "by admin@example.org: withdrawn"
    assert (second["known"], second["hides"]) == (False, [])
    assert run.result == {"refused": "1 of 2 lines name no bundle; see the report"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"email": "writer@example.org"}, "email: 'writer@example.org' is not in ADMIN_USER_EMAILS"),
        ({"reason": ""}, "reason: it must be a string of 1 to 1000 characters"),
        ({"list": []}, "list: it must be a string"),
    ],
)
def test_who_is_no_admin_and_who_has_no_reason_is_refused(
    system: AdminSystem, options: dict[str, Any], words: str
) -> None:
    assert words in system.run_and_fail(**{**WHO, "list": "gs://a/b", **options})


@pytest.mark.parametrize(
    ("lines", "words"), [(["nonsense"], "line 1: uuid: 'nonsense'"), ([], "has no lines")]
)
def test_a_list_of_nothing_or_of_nonsense_is_refused(
    system: AdminSystem, lines: list[str], words: str
) -> None:
    assert words in system.run_and_fail(**WHO, list=put_list(system, lines))
