"""`dss.Client`: files that are opened where they are, listings, errors, and clients in other processes."""

import inspect
import io
import json
import multiprocessing
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from dss import errors
from dss.client import Client
from dss.errors import CallFailed, ClientError, InvalidInput, NoSuchName, NotFound, WrongContent
from dss.listing import BundleFile, BundleFiles
from dss.profiles import config_file
from dss.reports import DownloadReport
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault

KIB = 1024
BIG = random.Random(5).randbytes(3000 * KIB)
TABLE = "gene,count\nACTB,7\nümlaut,1\n"


@pytest.fixture
def names(fake: FakeDss) -> dict[str, bytes]:
    """What is in the bundle."""
    fake.names = {"big": BIG, "tables/counts.csv": TABLE.encode(), "empty": b""}
    return fake.names


def _ranges(fake: FakeDss) -> list[str]:
    return [one.headers.get("Range", "whole") for one in fake.requests("GET", "/blob")]


@pytest.mark.usefixtures("names")
def test_a_file_is_read_where_it_is_asked_for(client: Client, fake: FakeDss) -> None:
    with client.open(BUNDLE, "big") as file:
        file.seek(1000 * KIB)
        middle = file.read(10)
        file.seek(-10, io.SEEK_END)
        end = file.read()

    assert (middle, end) == (BIG[1000 * KIB :][:10], BIG[-10:])
    fetched = [text.removeprefix("bytes=").split("-") for text in _ranges(fake)]
    assert sum(int(last) - int(first) + 1 for first, last in fetched) < 150 * KIB


@pytest.mark.usefixtures("names")
def test_reads_in_order_make_few_requests_and_are_verified(client: Client, fake: FakeDss) -> None:
    with client.open(BUNDLE, "big") as file:
        pieces = iter(lambda: file.read(10_000), b"")
        assert b"".join(pieces) == BIG

    assert len(_ranges(fake)) <= 6
    assert len(fake.requests("GET", "/bundles")) == len(fake.requests("GET", "/files")) == 1


@pytest.mark.usefixtures("names")
def test_a_whole_file_is_one_request(client: Client, fake: FakeDss) -> None:
    with client.open(BUNDLE, "big") as file:
        assert file.read() == BIG

    assert _ranges(fake) == ["whole"]


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("size", [-1, 100_000])
def test_wrong_content_is_found_at_the_end(client: Client, fake: FakeDss, size: int) -> None:
    fake.broken[("GET", "/blob/0")] = Fault(rot=True)

    with client.open(BUNDLE, "big") as file, pytest.raises(WrongContent, match="sha256"):
        while file.read(size):
            pass


@pytest.mark.usefixtures("names")
def test_a_url_that_expires_between_two_reads_is_replaced(client: Client, fake: FakeDss) -> None:
    with client.open(BUNDLE, "big") as file:
        first = file.read(10)
        fake.signature += 1
        file.seek(2000 * KIB)
        second = file.read(10)

    assert (first, second) == (BIG[:10], BIG[2000 * KIB :][:10])
    assert len(fake.requests("GET", "/files")) == 2


@pytest.mark.usefixtures("names")
def test_text_is_read_line_by_line(client: Client) -> None:
    with client.open(BUNDLE, "tables/counts.csv", "r") as lines:
        assert list(lines) == TABLE.splitlines(keepends=True)
    with client.open(f"{BUNDLE}.{VERSION}/tables/counts.csv", mode="rt", encoding="latin-1") as lines:
        assert "Ã¼mlaut" in lines.read()


@pytest.mark.usefixtures("names")
def test_an_empty_file_is_empty(client: Client) -> None:
    with client.open(BUNDLE, "empty") as file:
        assert (file.read(), file.read(1), file.seek(5)) == (b"", b"", 5)


@pytest.mark.usefixtures("names")
def test_a_name_that_is_not_there_is_answered_by_names_that_are(client: Client) -> None:
    with pytest.raises(NoSuchName, match=r"no file 'counts\.csv', of 3 files.*'tables/counts\.csv'"):
        client.open(BUNDLE, "counts.csv")


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("mode", ["w", "rb+", "x", ""])
def test_files_are_read_only(client: Client, mode: Any) -> None:
    with pytest.raises(InvalidInput, match="its files are read only"):
        client.open(BUNDLE, "big", mode)


def test_a_bundle_is_not_opened(client: Client) -> None:
    with pytest.raises(InvalidInput, match="give the name of one of its files"):
        client.open(BUNDLE)


@pytest.mark.usefixtures("names")
def test_opening_asks_for_no_more_pages_than_it_takes(client: Client, fake: FakeDss) -> None:
    fake.page = 1

    client.open(BUNDLE, "tables/counts.csv").close()

    assert len(fake.requests("GET", "/bundles")) == 2


@pytest.mark.usefixtures("names")
def test_files_are_a_sequence_and_a_table(client: Client, fake: FakeDss) -> None:
    files = client.files(BUNDLE)

    assert isinstance(files, BundleFiles)
    assert (files.fqid, len(files), files.size) == (f"{BUNDLE}.{VERSION}", 3, len(BIG) + len(TABLE.encode()))
    assert [file.name for file in files[1:]] == ["tables/counts.csv", "empty"]
    first = files[0]
    assert first.drs_uri == f"drs://{fake.url.removeprefix('http://')}/{first.uuid}.{first.version}"
    frame = files.to_dataframe()
    assert list(frame["name"]) == list(fake.names)
    assert int(frame["size"].sum()) == files.size
    assert list(files[:0].to_dataframe().columns) == list(frame.columns)
    assert repr(files) == f"<BundleFiles {BUNDLE}.{VERSION}: 3 files, 3.1 MB>"


@pytest.mark.usefixtures("names")
def test_the_uri_of_a_file_has_no_password(fake: FakeDss) -> None:
    host = fake.url.removeprefix("http://")
    uuid = fake.uuid_of("empty")

    (file,) = Client(f"http://me:secret@{host}", "a.token").files(BUNDLE)[2:]

    assert file.drs_uri == f"drs://{host}/{uuid}.{VERSION}"


@pytest.mark.usefixtures("names")
def test_a_listed_file_is_opened_without_another_listing(client: Client, fake: FakeDss) -> None:
    file = client.files(BUNDLE)[1]
    fake.seen.clear()

    with client.open(pickle.loads(pickle.dumps(file)), mode="r") as lines:
        assert lines.read() == TABLE

    assert not fake.requests("GET", "/bundles")


@pytest.mark.usefixtures("names")
def test_a_string_is_one_glob_and_one_that_matches_nothing_is_an_error(client: Client, tmp_path: Any) -> None:
    report = client.download(BUNDLE, to=tmp_path / "out", names="tables/*.csv")

    assert (report.files, report.downloaded) == (1, 1)
    with pytest.raises(InvalidInput, match=r"\*\.tsv"):
        client.download(BUNDLE, to=tmp_path / "out", names="*.tsv")


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    "form", ["{0}", "{0}.{1}", "drs://{2}/{0}.{1}", "http://{2}/v1/bundles/{0}?version={1}"]
)
def test_a_bundle_is_named_in_every_way(client: Client, fake: FakeDss, form: str) -> None:
    text = form.format(BUNDLE, VERSION, fake.url.removeprefix("http://"))

    assert client.files(text).fqid == client.bundle(text)["uuid"] + "." + VERSION
    assert client.has_bundle(text)


def test_a_bundle_of_another_dss_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInput, match="another DSS"):
        client.files(f"drs://dss.example.org/{BUNDLE}.{VERSION}")


def test_a_version_is_changed_only_if_it_is_named(client: Client, fake: FakeDss) -> None:
    with pytest.raises(InvalidInput, match="names no version"):
        client.patch_bundle(BUNDLE)
    with pytest.raises(InvalidInput, match="a collection is hidden as a whole"):
        client.delete_collection(f"{BUNDLE}.{VERSION}")

    assert fake.seen == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.NotSignedIn),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.NotFound),
        (400, errors.CallFailed),
    ],
)
def test_answers_are_errors_by_kind(
    client: Client, fake: FakeDss, status: int, kind: type[CallFailed]
) -> None:
    fake.broken[("GET", "/bundles")] = Fault(status=status, body={"code": "a_code", "title": "a title"})

    with pytest.raises(CallFailed) as failure:
        client.files(BUNDLE)

    assert type(failure.value) is kind
    assert (failure.value.status, failure.value.code, failure.value.title) == (status, "a_code", "a title")


def _kinds() -> list[type[ClientError]]:
    found = [value for value in vars(errors).values() if inspect.isclass(value)]
    return [kind for kind in found if issubclass(kind, ClientError)]


def test_all_errors_are_in_the_tree_of_the_docstring() -> None:
    drawn = str(errors.__doc__)

    assert all(kind.__name__ in drawn for kind in _kinds())


def _raise(kind: type[ClientError]) -> None:
    if issubclass(kind, CallFailed):
        raise kind(
            method="GET", url="http://x/y?secret", status=404, code="not_found", title="no such bundle"
        )
    raise errors.MissingExtra("a table", "pandas") if kind is errors.MissingExtra else kind("why")


@pytest.mark.parametrize("kind", _kinds())
def test_errors_survive_pickling(kind: type[ClientError]) -> None:
    with pytest.raises(kind) as failure:
        _raise(kind)

    again = pickle.loads(pickle.dumps(failure.value))

    assert type(again) is kind
    assert (str(again), vars(again)) == (str(failure.value), vars(failure.value))


def test_reports_survive_pickling() -> None:
    report = DownloadReport(uuid=BUNDLE, files=3)
    report.fail("a", InvalidInput("why"))

    again = pickle.loads(pickle.dumps(report))
    again.count(files=1)

    assert (again.uuid, again.files, again.failed) == (BUNDLE, 4, report.failed)


def _read_in_another_process(client: Client, file: BundleFile) -> tuple[str, str]:
    with client.open(file, mode="r") as lines:
        text = lines.read()
    try:
        client.files("22222222-2222-4222-8222-222222222222")
    except NotFound as error:
        return text, error.title
    return text, ""


@pytest.mark.usefixtures("names")
def test_a_client_works_in_a_spawned_process(fake: FakeDss) -> None:
    client = Client(fake.url, "a.token", patience=7)
    file = client.files(BUNDLE)[1]
    spawn = multiprocessing.get_context("spawn")
    fake.seen.clear()

    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        outcome = pool.submit(_read_in_another_process, client, file).result(timeout=120)

    assert outcome == (TABLE, "no such bundle")
    assert fake.requests("GET", "/files")[0].headers["Authorization"] == "Bearer a.token"


def test_a_pickle_holds_what_a_client_was_made_of(fake: FakeDss) -> None:
    client = Client(fake.url, replica="aws", patience=7, notify=print)

    again = pickle.loads(pickle.dumps(client))

    assert (again.url, again.replica, again.token, again.transport.patience) == (client.url, "aws", None, 7)


def test_a_profile_that_nobody_asked_for_stays_out_of_pickles(fake: FakeDss) -> None:
    path = config_file()
    path.parent.mkdir(parents=True)
    path.write_text(f'default_profile = "mine"\n[profiles.mine]\nurl = "{fake.url}"\n')
    silent, named = (pickle.dumps(Client(fake.url, "a.token", profile=name)) for name in (None, "mine"))
    path.unlink()

    assert pickle.loads(silent).token == "a.token"
    with pytest.raises(InvalidInput, match="no profile 'mine'"):
        pickle.loads(named)


def test_a_token_of_the_environment_stays_out_of_pickles(
    fake: FakeDss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_URL", fake.url)
    monkeypatch.setenv("DSS_TOKEN", "secret.of.the.environment")
    pickled = pickle.dumps(Client())
    monkeypatch.setenv("DSS_TOKEN", "another.one.there")
    monkeypatch.delenv("DSS_URL")

    assert b"secret" not in pickled
    again = pickle.loads(pickled)
    assert (again.url, again.token) == (f"{fake.url}/v1", "another.one.there")


def test_every_method_has_typed_explicit_arguments_and_an_explanation() -> None:
    own = {name: value for name, value in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    methods = {name: value for name, value in own.items() if "dss.api.session" not in value.__module__}

    assert len(methods) > 30
    for name, method in methods.items():
        signature = inspect.signature(method)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, name
        annotated = [parameter.annotation for parameter in signature.parameters.values()][1:]
        assert inspect.Parameter.empty not in [*annotated, signature.return_annotation], name
        assert inspect.getdoc(method), name


def test_a_stored_notebook_of_json_reads_as_json(client: Client, fake: FakeDss) -> None:
    fake.names = {"a.json": json.dumps({"a": [1]}).encode()}

    with client.open(BUNDLE, "a.json") as file:
        assert json.load(file) == {"a": [1]}
