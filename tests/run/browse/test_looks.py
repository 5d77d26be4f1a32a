"""Pages of bundles, files, collections and projects: what is there, and what has become of it."""

import gzip
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from run.browse import collecting
from run.browse.looks import MOST_ENTRIES
from tests.run.api.test_access import bind
from tests.run.browse.conftest import EVIL, LAB, OWN, SAMPLES, Page, Pages
from tests.support.api import Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.hca_sample import id_of, sequenced

GZIPPED = gzip.compress(b"@read\nACGT\n", mtime=0)
# Begins with a mark that turns the direction of what follows.
TURNED = "\u202etxt.exe"


def new_file(
    pages: Pages, clouds: Clouds, data: bytes, content_type: str = "text/plain", replica: str = "gcp"
) -> Version:
    return put_file(pages.service.writer, clouds.stage(replica, data, content_type=content_type))


def bundle_of(pages: Pages, clouds: Clouds, *names: str, uuid: str = "") -> Version:
    file = new_file(pages, clouds, b"content")
    bundle = Version(uuid or new_uuid(), now())
    return put_bundle(pages.service.writer, "gcp", [file.named(name) for name in names], bundle=bundle)


def path_of(kind: str, found: Version) -> str:
    return f"/browse/{kind}/{found.uuid}?version={found.version}"


def facts(page: Page) -> dict[str, str]:
    return dict(
        zip((each.text for each in page.all("dt")), (each.text for each in page.all("dd")), strict=True)
    )


def rows_of(page: Page, tag: str = "td") -> list[str]:
    return [each.text for each in page.all(tag)]


def test_a_bundle_shows_its_files_as_folders(pages: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(pages, clouds, "a.json", "b/c", "b/d/e", "b/d/f")
    page = pages.get(path_of("bundles", bundle))

    assert page.rows()[:2] == ["a.json", "b/"]
    assert "4 files, 28 bytes" in page.text
    assert facts(page)["Files"] == "4, 28 bytes"
    assert facts(page)["May be read by"] == "everybody"
    inner = pages.get(page.link("b/"))
    assert inner.rows()[:2] == ["c", "d/"]
    assert "3 files, 21 bytes in this folder" in inner.text
    deepest = pages.get(inner.link("d/"))
    assert deepest.rows()[:2] == ["e", "f"]
    assert pages.get(deepest.link("All files")).rows() == page.rows()
    assert pages.get(page.link("a.json")).title.startswith("File a.json")


def test_a_large_bundle_comes_in_small_pages(pages: Pages, clouds: Clouds) -> None:
    names = [f"{number:04}{'x' * 200}" for number in range(MOST_ENTRIES * 2 + 1)]
    page = pages.get(path_of("bundles", bundle_of(pages, clouds, *names)))

    assert page.size < 100_000
    assert "1 to 100 of 201" in page.text
    last = pages.get(pages.get(page.link("Next")).link("Next"))
    assert last.rows()[0].startswith("0200xxx")
    assert "201 to 201 of 201" in last.text


def test_a_bundle_shows_its_versions_and_what_changed(pages: Pages, clouds: Clouds) -> None:
    old = bundle_of(pages, clouds, "same", "gone")
    new = bundle_of(pages, clouds, "same", "come", uuid=old.uuid)
    page = pages.get(f"/browse/bundles/{old.uuid}")

    assert facts(page)["Version"].endswith(new.version)
    changes = pages.get(page.link("what changed"))
    assert changes.rows() == ["come", "gone", "same"]
    assert [text for text in rows_of(changes) if not text.endswith("bytes")] == [
        *("added", "", "removed", "", "same content, another version")
    ]
    assert "3 files differ" in changes.text
    same = pages.get(f"/browse/bundles/{old.uuid}/changes?from={old.version}&to={old.version}")
    assert "0 files differ" in same.text


def test_replicas_have_their_states(pages: Pages, clouds: Clouds) -> None:
    page = pages.get(path_of("bundles", bundle_of(pages, clouds, "a")))

    states = dict(zip(page.rows()[-2:], rows_of(page)[-2:], strict=True))
    assert states["gcp"].startswith("there since 20")
    assert states["aws"] == "not there yet"


def test_what_is_on_another_replica_alone_is_found(pages: Pages, clouds: Clouds) -> None:
    file = new_file(pages, clouds, b"x", replica="aws")

    assert "there since" in pages.get(path_of("files", file)).text
    assert pages.get(f"{path_of('files', file)}&replica=gcp", status=404)
    assert pages.get(f"{path_of('files', file)}&replica=moon", status=400)


def test_a_deleted_bundle_is_shown_as_what_it_is(pages: Pages, clouds: Clouds) -> None:
    old = bundle_of(pages, clouds, "a")
    new = bundle_of(pages, clouds, "b", uuid=old.uuid)

    def delete(**query: str) -> None:
        answer = pages.service.admin.delete(
            f"/v1/bundles/{old.uuid}", replica="gcp", json={"reason": EVIL}, **query
        )
        assert answer.status_code == 200, answer.text

    delete(version=old.version)
    page = pages.get(path_of("bundles", old), status=404)
    assert page.title.startswith("Deleted bundle")
    assert facts(page) == {"Reason": EVIL}
    assert EVIL not in page.html
    assert pages.get(page.all("li")[0].text and page.link(page.all("li")[0].text)).rows()[0] == "b"
    assert "deleted" in pages.get(f"/browse/bundles/{old.uuid}").text
    delete()
    assert "All versions of this bundle were deleted" in pages.get(path_of("bundles", new), status=404).text
    assert "All versions" in pages.get(f"/browse/bundles/{old.uuid}", status=404).text


def test_what_is_managed_is_shown_to_its_readers_alone(pages: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(pages, clouds, "a")
    file = new_file(pages, clouds, b"secret content")
    for each in (bundle, file):
        bind(pages.service.dss, each.uuid, LAB)
    member, other = pages.service.member(LAB), pages.service.member("others")

    for path in (
        path_of("bundles", bundle),
        path_of("files", file),
        path_of("files", file).replace("?", "/content?"),
    ):
        for by, status in ((None, 401), (other, 403)):
            refused = pages.get(path, by=by, status=status)
            assert "secret content" not in refused.html
    assert (
        facts(pages.get(path_of("bundles", bundle), by=member))["May be read by"]
        == "members of certain groups"
    )
    assert "secret content" in pages.get(path_of("files", file), by=member).text


def test_a_deleted_managed_bundle_is_no_ones_to_see_but_its_readers(pages: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(pages, clouds, "a")
    bind(pages.service.dss, bundle.uuid, LAB)
    pages.service.admin.delete(f"/v1/bundles/{bundle.uuid}", replica="gcp", json={"reason": "wrong"})

    assert "wrong" not in pages.get(path_of("bundles", bundle), status=401).html
    assert facts(pages.get(path_of("bundles", bundle), by=pages.service.member(LAB), status=404)) == {
        "Reason": "wrong"
    }


@pytest.mark.parametrize(
    ("name", "content_type", "data", "note", "shown"),
    [
        ("a.json", "text/plain", b'{"b": [1]}', "The whole file.", '{ "b": [ 1 ] }'),
        ("a", 'application/json; dcp-type="metadata"', b'{"b":1}', "The whole file.", '{ "b": 1 }'),
        ("a.json", "text/plain", b"[" * 100_000, "The beginning of the file.", "[[["),
        ("a.txt", "text/html", EVIL.encode(), "The whole file.", EVIL),
        ("a.txt", "text/plain", b"x" * 70_000, "The beginning of the file.", "xxx"),
        ("a.fastq.gz", "application/gzip", GZIPPED, "The whole file.", "@read ACGT"),
        ("a.gz", "x/y", b"\x1f\x8bnot gzip \xff", "The file is not text", ""),
        ("a.bin", "x/y", b"\0\1\2", "The file is not text", ""),
        ("a.txt", "text/plain", "é".encode() * 40_000, "The beginning of the file.", "éé"),
        ("a.txt", "text/plain", b"", "The file is empty.", ""),
    ],
)  # fmt: skip
def test_the_beginning_of_a_file_is_shown_as_text(
    pages: Pages, clouds: Clouds, name: str, content_type: str, data: bytes, note: str, shown: str
) -> None:
    page = pages.get(path_of("files", new_file(pages, clouds, data, content_type)), name=name)

    assert note in page.text
    [*texts] = [each.text for each in page.all("pre") if each.attributes.get("dir")]
    assert [text.startswith(shown) for text in texts] == ([True] if shown else [])
    assert EVIL not in page.html
    assert page.size < 100_000


def test_the_head_of_a_table_is_a_table(pages: Pages, clouds: Clouds) -> None:
    lines = "\n".join([",".join(f"c{n}" for n in range(30)), *(",".join(["<b>"] * 30) for _ in range(100))])
    page = pages.get(path_of("files", new_file(pages, clouds, lines.encode())), name="t.csv")

    assert "The first 25 rows. The first 20 of 30 columns." in page.text
    assert [each.text for each in page.all("th", scope="col")][:20] == [f"c{n}" for n in range(20)]
    assert rows_of(page).count("<b>") == 500


def test_an_image_is_shown_from_a_place_without_scripts(pages: Pages, clouds: Clouds) -> None:
    png = new_file(pages, clouds, b"\x89PNG\r\n\x1a\n\0\0", "image/png")
    [image] = pages.get(path_of("files", png)).all("img")

    answer = pages.client.get(image["src"])
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"\x89PNG\r\n\x1a\n\0\0", "image/png")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    svg = new_file(pages, clouds, b"<svg/>", "image/svg+xml")
    assert not pages.get(path_of("files", svg)).all("img")
    pages.get(path_of("files", svg).replace("?", "/image?"), status=404)


def test_a_download_leads_to_a_signed_url_of_the_content_under_its_name(pages: Pages, clouds: Clouds) -> None:
    page = pages.get(path_of("files", new_file(pages, clouds, b"x")), name=f"dir/{TURNED}")

    answer = pages.client.get(page.link("Download 1 byte"))
    assert answer.status_code == 302
    assert "filename*=UTF-8''%E2%80%AEtxt.exe" in json.dumps(
        parse_qs(urlsplit(answer.headers["Location"]).query)
    )


def test_odd_names_look_right(pages: Pages, clouds: Clouds) -> None:
    names = sorted(["<script>x", TURNED, "😀", "a&b=c?d#e", "'\"", "  ", "%2e%2e"], key=str.encode)
    page = pages.get(path_of("bundles", bundle_of(pages, clouds, *names)))

    assert page.rows()[:7] == [" ".join(name.split()) for name in names]
    assert "<script>x" not in page.html
    for name in ("<script>x", TURNED, "😀", "a&b=c?d#e"):
        assert name in pages.get(page.link(name)).title


def test_a_collection_links_to_its_items(pages: Pages, clouds: Clouds) -> None:
    bundle, file = bundle_of(pages, clouds, "a"), new_file(pages, clouds, b"x")
    links = [
        {"type": "bundle", "uuid": bundle.uuid, "version": bundle.version},
        {"type": "file", "uuid": file.uuid, "version": file.version},
    ]
    made = put_collection(pages.service.writer, "gcp", links)
    path = path_of("collections", made)
    pages.get(path, status=401)
    owner = pages.service.writer

    page = pages.get(path, by=owner)
    assert page.rows()[:2] == [bundle.uuid, file.uuid]
    assert pages.get(page.link(bundle.uuid)).rows()[0] == "a"
    assert pages.get(page.link(file.uuid)).status == 200


def collections_on(page: Page) -> list[str]:
    return [each.text for each in page.all("li") if each.text.startswith("collected")]


def test_a_bundle_and_a_file_have_the_collections_that_link_to_them(pages: Pages, clouds: Clouds) -> None:
    """In their newest version, and of those alone that the reader may read."""
    bundle, file = bundle_of(pages, clouds, "a"), new_file(pages, clouds, b"x")
    owner = pages.service.writer
    of_bundle = {"type": "bundle", "uuid": bundle.uuid, "version": bundle.version}
    of_part = {"type": "file", "uuid": file.uuid, "version": file.version, "about": {"uuid": bundle.uuid}}
    own = put_collection(owner, "gcp", [of_bundle, of_part], name="collected by one")
    shared = put_collection(owner, "gcp", [of_bundle], name="collected <b>")
    bind(pages.service.dss, shared.uuid, "public")
    emptied = put_collection(owner, "gcp", [of_bundle], name="collected once")
    put_collection(owner, "gcp", [], collection=Version(emptied.uuid, now()))
    deleted = put_collection(owner, "gcp", [of_bundle], name="collected and deleted")
    assert owner.delete(f"/v1/collections/{deleted.uuid}", replica="gcp").status_code == 200

    path = path_of("bundles", bundle)
    assert collections_on(pages.get(path)) == ["collected <b>"]
    seen = pages.get(path, by=owner)
    assert sorted(collections_on(seen)) == ["collected <b>", "collected by one"]
    assert pages.get(seen.link("collected by one"), by=owner).rows()[:2] == [bundle.uuid, file.uuid]
    assert pages.get(seen.link("collected <b>"), by=owner).rows()[0] == bundle.uuid
    assert collections_on(pages.get(path_of("files", file), by=owner)) == ["collected by one"]
    assert "No collection that you may read" in pages.get(path_of("files", file)).text
    assert own.uuid in seen.link("collected by one")


def test_a_page_says_that_there_may_be_more_collections(
    pages: Pages, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, owner = bundle_of(pages, clouds, "a"), pages.service.writer
    link = {"type": "bundle", "uuid": bundle.uuid, "version": bundle.version}
    for number in range(3):
        put_collection(owner, "gcp", [link], name=f"collected {number}")
    path = path_of("bundles", bundle)
    assert "There may be more" not in pages.get(path, by=owner).text

    monkeypatch.setattr(collecting, "MOST_LISTED", 2)
    page = pages.get(path, by=owner)
    assert len(collections_on(page)) == 2
    assert "There may be more" in page.text
    monkeypatch.setattr(collecting, "MOST_LISTED", 3)
    monkeypatch.setattr(collecting, "_MOST_READ", 3)
    assert "There may be more" in pages.get(path, by=owner).text


def test_a_project_shows_what_is_known_of_it(pages: Pages) -> None:
    page = pages.get(pages.get("/browse", catalog=SAMPLES).link("Title of project"))

    known = facts(page)
    assert (known["Organ"], known["Genus species"], known["Donor count"]) == (
        "brain, liver",
        "Danio rerio",
        "2",
    )
    assert "Invented." in page.text
    assert len(pages.get(page.link("Its files")).rows()) == 4
    assert sorted(pages.get(page.link("Its samples")).rows()) == ["a", "c"]
    assert sorted(pages.get(page.link("brain")).rows()) == ["Title of project"]
    sample = pages.get(pages.get("/browse/samples", catalog=SAMPLES).link("a"))
    assert (facts(sample)["Organ"], len(pages.get(sample.link("Its files")).rows())) == ("brain", 2)
    pages.get(f"/browse/projects/{id_of('secret')}", catalog=SAMPLES, status=404)
    pages.get(f"/browse/projects/{id_of('secret')}", catalog=SAMPLES, by=pages.service.member(LAB))


def test_a_project_links_to_the_web_alone(pages: Pages) -> None:
    bundle = sequenced("links", project="links")
    content = bundle.document(bundle.project)
    content["publications"] = [
        {"title": EVIL, "url": "javascript:alert(1)", "official_hca_publication": False},
        {"title": "Good", "url": "https://journal.example/1", "official_hca_publication": False},
    ]
    content["supplementary_links"] = ["javascript:alert(2)"]
    content["contributors"] = [{"name": f"{EVIL},,x", "institution": EVIL}]
    pages.service.put(OWN, bundle.metadata())

    page = pages.get(f"/browse/projects/{bundle.project}", catalog=OWN)
    leads_to = {each["href"] for each in page.all("a")}
    assert {url for url in leads_to if not url.startswith(("/", "#"))} == {"https://journal.example/1"}
    assert EVIL in page.text
    assert EVIL not in page.html


@pytest.mark.parametrize(
    "path",
    [
        *("bundles/{uuid}?version=x", "bundles/{uuid}?path=a", "bundles/{uuid}?start=-1", "bundles/x"),
        *("bundles/{uuid}?start=1&start=2", "bundles/{uuid}?unknown=1", "files/{uuid}?version=1"),
        *("bundles/{uuid}/changes", "bundles/{uuid}/changes?from=x&to=y", "files/{uuid}?name=" + "x" * 5000),
        *("collections/{uuid}?start=99999999999", "projects/x", "files/{uuid}/content?x=1"),
    ],
)
def test_an_odd_parameter_is_a_400_page(pages: Pages, path: str) -> None:
    assert pages.get("/browse/" + path.format(uuid=new_uuid()), status=400).title.startswith("Bad Request")


@pytest.mark.parametrize("kind", ["bundles", "files", "collections", "projects"])
def test_what_is_not_there_is_a_404_page(pages: Pages, kind: str) -> None:
    assert pages.get(f"/browse/{kind}/{new_uuid()}", status=404).title.startswith("Not Found")
