"""`GET /index/bundles/{uuid}` says whether a bundle is in the catalogue, and if not, why."""

import pytest

from run.explore.handlers import status_of
from shared.explore.base import FAILED, BundleState
from shared.explore.catalogues import Catalogue
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from tests.run.explore.conftest import LAB, OWN
from tests.support.access_world import bind
from tests.support.api import Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.explore_service import ExploreService, assert_refused
from tests.support.hca_sample import HcaBundle, sequenced


@pytest.fixture
def plain(service: ExploreService, clouds: Clouds) -> Fqid:
    """A bundle of the store without metadata of any kind."""
    file = put_file(service.writer, clouds.stage("gcp", b"content"))
    bundle = put_bundle(service.writer, "gcp", [file.named("file")])
    return Fqid(bundle.uuid, bundle.version)


def path(fqid: Fqid) -> str:
    return f"/index/bundles/{fqid.uuid}"


def test_a_bundle_that_was_put_is_on_its_way_and_then_in(service: ExploreService, clouds: Clouds) -> None:
    name = new_uuid()
    fqid = service.upload(clouds, sequenced(name, specimen=f"of {name}", project=name))
    waits = service.get(path(fqid), catalog=OWN)
    assert waits == {"entryId": fqid.uuid, "version": fqid.version, "status": "on its way"}

    assert service.index(OWN, fqid) == "indexed"

    hit = service.get(path(fqid), catalog=OWN)
    assert (hit["entryId"], hit["status"]) == (fqid.uuid, "indexed")
    assert hit["bundles"] == [{"bundleUuid": fqid.uuid, "bundleVersion": fqid.version, "accessible": True}]
    assert [file["name"] for file in hit["files"]] == [f"{name}_1.fastq", f"{name}_2.fastq"]
    assert service.get("/index/projects", catalog=OWN, filters={"project": {"is": [name]}})["hits"]
    assert service.get(path(fqid), catalog=OWN, fields="status") == {
        "entryId": fqid.uuid,
        "status": "indexed",
    }


def test_a_bundle_that_has_failed_says_why(service: ExploreService, clouds: Clouds) -> None:
    bundle = HcaBundle(new_uuid())
    bundle.document(bundle.project)["describedBy"] = "https://schema.example/type/nothing"
    fqid = service.upload(clouds, bundle)

    assert service.index(OWN, fqid) == "failed"

    found = service.get(path(fqid), catalog=OWN)
    reason = found.pop("reason")
    assert found == {"entryId": fqid.uuid, "version": fqid.version, "status": "failed"}
    assert reason.startswith("project_0.json: describedBy: must end with a type")


def test_a_bundle_without_metadata_is_left_out(service: ExploreService, plain: Fqid) -> None:
    assert service.index(OWN, plain) == "left out"

    found = service.get(path(plain), catalog=OWN)

    assert found == {"entryId": plain.uuid, "version": plain.version, "status": "left out"}


def test_a_bundle_that_does_not_belong_into_the_catalogue_is_left_out() -> None:
    fqid = Fqid("2" + new_uuid()[1:], now())
    plugin = HcaPlugin(host="h")
    for prefix, status in (("", "on its way"), ("2", "on its way"), ("3", "left out")):
        catalogue = Catalogue(1, CatalogueSetting(name="x", plugin="hca", prefix=prefix), plugin)
        assert status_of(catalogue, fqid, None) == status
        assert status_of(catalogue, fqid, BundleState(fqid=fqid, state=FAILED)) == FAILED


def test_an_older_version_is_shown_with_the_status_of_the_newest(
    service: ExploreService, clouds: Clouds
) -> None:
    fqid = service.upload(clouds, HcaBundle(new_uuid()))
    service.index(OWN, fqid)
    file = put_file(service.writer, clouds.stage("gcp", b"content"))
    newer = put_bundle(service.writer, "gcp", [file.named("file")], bundle=Version(fqid.uuid, now()))

    hit = service.get(path(fqid), catalog=OWN)
    assert hit["bundles"][0]["bundleVersion"] == fqid.version
    assert (hit["status"], hit["newest"]) == ("indexed", {"version": newer.version, "status": "on its way"})

    service.fail(OWN, Fqid(fqid.uuid, newer.version), "file: is wrong")
    hit = service.get(path(fqid), catalog=OWN)
    assert hit["newest"] == {"version": newer.version, "status": "failed", "reason": "file: is wrong"}


def test_a_deleted_bundle_is_not_there(service: ExploreService, clouds: Clouds) -> None:
    fqid = service.upload(clouds, HcaBundle(new_uuid()))
    service.index(OWN, fqid)
    deleted = service.admin.delete(f"/v1/bundles/{fqid.uuid}", replica="gcp", json={"reason": "test"})
    assert deleted.status_code == 200
    # Still in the catalogue for a moment.
    assert service.get(path(fqid), catalog=OWN)["status"] == "indexed"

    assert service.index(OWN, fqid) == "deleted"

    assert_refused(service.api.get(path(fqid), catalog=OWN), 404, f"has no bundle {fqid.uuid}")


def test_a_bundle_that_does_not_match_filters_is_not_there(service: ExploreService, plain: Fqid) -> None:
    answer = service.api.get(path(plain), catalog=OWN, filters='{"organ": {"is": ["x"]}}')

    assert_refused(answer, 404, "Can't find an entity in bundles")


def test_the_status_of_a_managed_bundle_is_for_its_readers(service: ExploreService, plain: Fqid) -> None:
    bind(service.dss, plain.uuid, readers=frozenset((LAB,)))
    service.fail(OWN, plain, "a secret")

    for by, status in ((service.api, 401), (service.member("others"), 403)):
        refused = by.get(path(plain), catalog=OWN)
        assert_refused(refused, status)
        assert "secret" not in refused.text
    for reader in (service.member(LAB), service.admin):
        assert service.get(path(plain), by=reader, catalog=OWN)["reason"] == "a secret"
