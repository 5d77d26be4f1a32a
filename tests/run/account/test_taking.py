"""Taking from the pages: manifests of a selection, to Terra, and a bundle in a bucket of one's own."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from run.explore.manifest_tokens import ManifestToken
from shared.catalog import CheckoutOrder, JobState, ManifestOrder
from shared.explore.manifests.formats import FORMATS
from shared.identifiers import Fqid, Kind
from tests.run.account.conftest import CATALOGUE, LAB, Person, Site
from tests.support.api import Version, new_uuid, put_bundle, put_file
from tests.support.checkouts import user_bucket

OF_ALL = f"/browse/manifests?catalog={CATALOGUE}"


def made(person: Person, a_format: str, selection: str = OF_ALL) -> str:
    """Have a manifest made; return the path of its page."""
    return person.send(selection, selection, format=a_format).headers["Location"]


def rows_at(address: str) -> list[str]:
    answer = requests.get(address, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.text.splitlines()


def test_a_selection_becomes_a_manifest_for_a_stranger(site: Site) -> None:
    person = site.visitor()
    listed = person.get(f"/browse/files?catalog={CATALOGUE}&is.organ=brain")
    choice = person.get(listed.link("Take the files"))
    assert "Take 2 files" in choice.text
    assert "brain" in choice.text
    assert {each["value"] for each in choice.all("input", name="format")} == {*FORMATS}

    page = person.get(made(person, "compact", listed.link("Take the files")))

    assert len(rows_at(page.link("Download the manifest"))) == 3
    assert any("curl" in each.text for each in page.all("pre"))
    assert not page.all("meta", **{"http-equiv": "refresh"})


def test_members_take_what_their_groups_read_and_others_do_not_get_it(site: Site) -> None:
    member, stranger = site.member(group=LAB), site.visitor()

    path = made(member, "compact")

    assert len(rows_at(member.get(path).link("Download the manifest"))) == 7
    assert len(rows_at(stranger.get(made(stranger, "compact")).link("Download the manifest"))) == 5
    stranger.get(path, 403)
    stranger.get("/browse/manifests/no-token", 400)


@pytest.mark.parametrize(("a_format", "form"), [("terra.pfb", "pfb"), ("terra.bdbag", "bagit")])
def test_terra_gets_an_address_from_which_it_fetches(site: Site, a_format: str, form: str) -> None:
    person = site.visitor()

    link = person.get(made(person, a_format)).link("Open in Terra")

    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "app.terra.bio", "/")
    where, _, query = parts.fragment.partition("?")
    assert where == "import-data"
    given = parse_qs(query)
    assert given["format"] == [form]
    assert requests.get(given["url"][0], timeout=20).ok


def test_a_manifest_is_watched_until_it_is_made_or_has_failed(site: Site) -> None:
    dss = site.service.dss
    order = ManifestOrder(
        key=new_uuid(),
        catalogue=CATALOGUE,
        format="full",
        base_url="http://localhost",
        labels=dss.catalogues.labels(frozenset()),
        selection=json.dumps({}),
        files=5,
    )
    job = dss.catalog.manifests.begin(order, requester="", at_most=1000, at_most_each=1000)
    path = f"/browse/manifests/{ManifestToken(job.id)}"
    person = site.visitor()

    page = person.get(path)
    assert "0 of 5 files" in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.html
    dss.catalog.manifests.end(job, JobState.FAILED, code="x", cause="<b>too many columns</b>")
    page = person.get(path)
    assert "It could not be made: <b>too many columns</b>" in page.text
    assert "http-equiv" not in page.html


@pytest.mark.parametrize("fields", [{}, {"format": "nonsense"}])
def test_odd_formats_are_shown_with_the_form(site: Site, fields: dict[str, str]) -> None:
    person = site.visitor()

    answer = person.send(OF_ALL, OF_ALL, 400, **fields)

    assert 'role="alert"' in answer.text
    assert "Make it" in answer.text


def new_bundle(site: Site) -> Version:
    file = put_file(site.service.writer, site.clouds.stage("gcp", new_uuid().encode()))
    return put_bundle(site.service.writer, "gcp", [file.named("a.txt")])


def checkouts(bundle: Version) -> str:
    return f"/browse/checkouts?uuid={bundle.uuid}&version={bundle.version}&replica=gcp"


def test_a_bucket_that_does_not_allow_it_is_named_with_what_to_do(site: Site) -> None:
    person, bundle = site.member(), new_bundle(site)
    path = checkouts(bundle)
    assert f"echo {person.email} |" in person.get(path).text
    bucket = user_bucket(site.clouds, "gcp", allows=None)

    refused = person.send(path, path, 403, bucket=f"gs://{bucket}")
    absent = person.send(path, path, 400, bucket=f"no-{new_uuid()}")
    other = person.send(path, path, 400, bucket=f"s3://{bucket}")

    assert ".dss-checkout-allowed" in refused.text
    assert f'value="gs://{bucket}"' in refused.text
    assert "no such bucket" in absent.text
    assert "cloud of gcp" in other.text
    site.visitor().get(path, 401)


def test_a_checkout_is_watched_to_its_end(site: Site) -> None:
    dss, bundle = site.service.dss, new_bundle(site)
    order = CheckoutOrder(
        kind=Kind.BUNDLE, fqid=Fqid(bundle.uuid, bundle.version), replica="gcp", bucket="a-bucket"
    )
    job = dss.catalog.checkouts.begin(order, readers=frozenset(), at_most=1000)
    path = f"/browse/checkouts/{job.id}?replica=gcp"
    person = site.visitor()

    assert "http-equiv" in person.get(path).html
    dss.catalog.checkouts.end(job, JobState.FAILED, code="x", cause="the bucket is full of <b>")
    page = person.get(path)
    assert "It has failed: the bucket is full of <b>" in page.text
    assert "http-equiv" not in page.html
    person.get(f"/browse/checkouts/{new_uuid()}?replica=gcp", 404)
