"""Lines of the audit log about the catalogue: who was handed a signed URL, who read managed data."""

import pytest

from tests.run.explore.conftest import LAB, OWN
from tests.support.access_world import bind
from tests.support.api import new_uuid
from tests.support.audit_lines import AuditLines, new_trace
from tests.support.clouds import Clouds
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import HcaBundle


@pytest.fixture(scope="module")
def lines(stack: dict[str, str]) -> AuditLines:
    return AuditLines(stack)


@pytest.fixture(scope="module")
def bundle(service: ExploreService, clouds: Clouds) -> HcaBundle:
    """A bundle of a file, managed for LAB."""
    made = HcaBundle(new_uuid())
    made.file(new_uuid())
    fqid = service.upload(clouds, made)
    for uuid in (fqid.uuid, made.files[0]["uuid"]):
        bind(service.dss, uuid, readers=frozenset((LAB,)))
    service.index(OWN, fqid)
    return made


def test_reads_of_what_is_managed_leave_a_line_and_lists_none(
    service: ExploreService, lines: AuditLines, bundle: HcaBundle
) -> None:
    member, file = service.member(LAB), bundle.files[0]["uuid"]
    due = {
        "explore.get_file": (f"/repository/files/{file}", "file", file, 1),
        "explore.fetch_file": (f"/fetch/repository/files/{file}", "file", file, 1),
        "explore.get_data_object": (f"/ga4gh/dos/v1/dataobjects/{file}", "file", file, 0),
        "explore.get_entity": (f"/index/bundles/{bundle.fqid.uuid}", "bundle", bundle.fqid.uuid, 0),
    }
    for operation, (path, kind, uuid, urls) in due.items():
        trace, headers = new_trace()
        assert member.get(path, catalog=OWN, headers=headers).status_code in (200, 302)
        [line] = lines.of_trace(trace)
        assert (line.operation, line.kind, line.uuid) == (operation, kind, uuid)
        assert (line.decision, line.urls) == ("allowed", urls)
    for path in ("/index/files", "/index/summary", "/index/catalogs"):
        trace, headers = new_trace()
        assert member.get(path, headers=headers).status_code == 200
        assert lines.of_trace(trace) == []


def test_refusals_leave_a_line(service: ExploreService, lines: AuditLines, bundle: HcaBundle) -> None:
    for path in (f"/repository/files/{bundle.files[0]['uuid']}", f"/index/bundles/{bundle.fqid.uuid}"):
        trace, headers = new_trace()
        assert service.api.get(path, catalog=OWN, headers=headers).status_code == 401
        [line] = lines.of_trace(trace)
        assert line.decision == "unauthorized"
