"""The catalogue from Python and from the command line, against an invented one."""

import csv
import io
import json
import pickle
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from dss import errors
from dss.client import Client
from dss.commands.completion import VARIABLE
from dss.commands.main import cli
from dss.explore.columns import cell, chosen_columns, flat
from dss.explore.filters import condition, parse_filters
from tests.support.command_line import Outcome, dss_here
from tests.support.fake_catalogue import FakeCatalogue, file_hit
from tests.support.fake_dss import FakeDss


@pytest.fixture
def catalogue(fake: FakeDss) -> FakeCatalogue:
    """A catalogue of 250 files, on three pages."""
    fake.catalogue = FakeCatalogue([file_hit(number) for number in range(250)])
    return fake.catalogue


@pytest.fixture
def env(fake: FakeDss, catalogue: FakeCatalogue) -> dict[str, str]:
    assert fake.catalogue is catalogue
    return {"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("organ=brain", {"is": ["brain"]}),
        ("organ=brain|null", {"is": ["brain", None]}),
        ("pairedEnd=true|false", {"is": [True, False]}),
        ("title=a=b:c", {"is": ["a=b:c"]}),
        ("size=1000..2000", {"within": [[1000, 2000]]}),
        ("size=-1.5e3..", {"within": [[-1500.0, 1e308]]}),
        ("size=..2000", {"within": [[-1e308, 2000]]}),
        (
            "date=2019-01-01..2019-01-31",
            {"within": [["2019-01-01T00:00:00.000000Z", "2019-01-31T23:59:59.999999Z"]]},
        ),
        (
            "date=..2019-01-01T10:00:00+01:00",
            {"within": [["1000-01-01T00:00:00.000000Z", "2019-01-01T09:00:00.000000Z"]]},
        ),
        ("date=2019-01-01..", {"within": [["2019-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]]}),
        ("name=a..b", {"is": ["a..b"]}),
        ("name=..", {"is": [".."]}),
        ("size:=5", {"is": [5]}),
        ('name:=["null", "a|b"]', {"is": ["null", "a|b"]}),
        ('age:={"value": "2", "unit": "year"}', {"is": [{"value": "2", "unit": "year"}]}),
        ('ages:={"intersects": [[0, 5]]}', {"intersects": [[0, 5]]}),
    ],
)
def test_a_filter_of_the_command_line_is_a_condition(text: str, expected: dict[str, Any]) -> None:
    assert list(parse_filters([text]).values()) == [expected]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["organ"], "'organ' is not FIELD=VALUE"),
        (["organ="], "is not FIELD=VALUE"),
        (["=brain"], "is not FIELD=VALUE"),
        (["size:=x"], "has no JSON after `:=`"),
        (["organ=a", "organ=b"], "organ is filtered twice; give all values at once: 'organ=VALUE|VALUE'"),
    ],
)
def test_a_filter_that_is_none_is_quoted(texts: list[str], why: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        parse_filters(texts)

    assert why in str(caught.value)


def test_filters_of_a_program_are_values_lists_or_relations() -> None:
    assert condition("a") == {"is": ["a"]}
    assert condition(None) == {"is": [None]}
    assert condition(("a", None)) == {"is": ["a", None]}
    assert condition({"within": [[1, 2]]}) == {"within": [[1, 2]]}
    assert condition({"namespace": "geo"}) == {"is": [{"namespace": "geo"}]}


@pytest.mark.parametrize("place_alone", [False, True])
def test_pages_are_fetched_as_they_are_needed(
    client: Client, catalogue: FakeCatalogue, place_alone: bool
) -> None:
    catalogue.next_has_the_place_alone = place_alone
    found = client.explore(
        "files", {"organ": ["brain", None]}, words="cortex", sort="fileSize", fields=["files"]
    )
    assert catalogue.asked == []

    assert found.total == 250
    assert [path for path, _ in catalogue.asked] == ["catalogs", "files"]
    assert [hit["entryId"] for hit in found] == [f"id-{number}" for number in range(250)]

    paths, asked = zip(*catalogue.asked, strict=True)
    assert paths == ("catalogs", "files", "files", "files")
    for params in asked[1:]:
        assert json.loads(params["filters"]) == {"organ": {"is": ["brain", None]}}
        others = {
            "q": "cortex",
            "sort": "fileSize",
            "fields": "files",
            "size": "100",
            "facets": "",
            "catalog": "hca",
        }
        assert others.items() <= params.items()


def test_a_limit_ends_early(client: Client, catalogue: FakeCatalogue) -> None:
    found = client.explore(limit=7)

    assert (len(list(found)), len(list(found.rows())), found.total) == (7, 7, 250)
    assert [params["size"] for path, params in catalogue.asked if path == "files"] == ["7"]
    assert len(list(client.explore(limit=101))) == 101
    with pytest.raises(errors.InvalidInput, match="limit: must be at least 1"):
        client.explore(limit=0)


def test_pages_are_as_large_as_the_catalogue_gives_them(client: Client, catalogue: FakeCatalogue) -> None:
    assert len(list(client.explore("samples", limit=7))) == 7
    assert len(list(client.explore("samples", limit=2))) == 2

    sizes = [params["size"] for path, params in catalogue.asked if path == "samples"]
    assert sizes == ["3", "3", "3", "2"]


def test_a_page_that_leads_to_itself_ends_with_an_error(client: Client, catalogue: FakeCatalogue) -> None:
    catalogue.next_is_the_same = True

    with pytest.raises(errors.CallFailed, match="its next page is the same page"):
        list(client.explore())


def test_a_table_has_a_column_for_each_field(client: Client, catalogue: FakeCatalogue) -> None:
    catalogue.hits[1]["files"][0]["size"] = None

    table = pickle.loads(pickle.dumps(client.explore(limit=3))).to_dataframe()

    assert list(table["files.name"]) == ["0.csv", "1.csv", "2.csv"]
    assert table["bundles.bundleUuid"][0] == ["b1", "b2"]
    assert table["samples.effectiveOrgan"][0] == ["brain", None]
    assert table["samples.disease"][0] is None


def test_facets_and_summaries_have_the_same_filters(client: Client, catalogue: FakeCatalogue) -> None:
    found = client.explore(filters={"organ": "brain"})

    assert found.facets("organ") == {"organ": {"brain": 3, "20 year": 1, None: 1}}
    assert found.summary()["fileCount"] == 250
    (_, facets), (path, summary) = catalogue.asked[1:]
    assert facets["facets"] == "organ"
    assert (path, set(summary)) == ("summary", {"catalog", "filters"})
    assert facets["filters"] == summary["filters"] == '{"organ": {"is": ["brain"]}}'


@pytest.mark.usefixtures("catalogue")
def test_catalogues_are_listed_the_default_one_first(client: Client) -> None:
    assert [(each.name, each.entity_types) for each in client.catalogues()] == [
        ("hca", ("files", "samples")),
        ("recordings", ("animals",)),
    ]
    assert client.explore("animals", catalog="recordings").total == 250


@pytest.mark.parametrize(
    ("entity_type", "catalog", "why"),
    [
        ("filez", None, "catalogue 'hca' has no 'filez'; it has files, samples; did you mean 'files'?"),
        ("files", "recordings", "catalogue 'recordings' has no 'files'; it has animals"),
        ("files", "hac", "there is no catalogue 'hac'; there is hca, recordings; did you mean 'hca'?"),
    ],
)
@pytest.mark.usefixtures("catalogue")
def test_what_is_not_there_is_an_error_with_what_there_is(
    client: Client, entity_type: str, catalog: str | None, why: str
) -> None:
    with pytest.raises(errors.NoCatalogue) as caught:
        list(client.explore(entity_type, catalog=catalog))

    assert str(caught.value) == why


@pytest.mark.parametrize("release", ["of today", "older"])
def test_a_dss_without_a_catalogue_says_so(fake: FakeDss, client: Client, release: str) -> None:
    if release == "of today":
        fake.catalogue = FakeCatalogue([])
        fake.catalogue.names = {}

    with pytest.raises(errors.NoCatalogue, match="has no catalogue; `dss search` finds bundles"):
        client.catalogues()
    outcome = dss_here({"DSS_URL": fake.url}, "explore", "files")
    assert (outcome.code, outcome.err) == (
        1,
        f"dss: the DSS at {fake.url} has no catalogue; `dss search` finds bundles by a query\n",
    )


@pytest.mark.parametrize("command", [["files"], ["summary"], ["facets"]])
def test_a_refusal_is_shown_by_its_message(env: dict[str, str], command: list[str]) -> None:
    outcome = dss_here(env, "explore", *command, "--filter", "nope=1")

    assert outcome.code == 1
    assert "dss: 400 BadRequestError: Unknown field `nope` (" in outcome.err
    assert "{" not in outcome.err


def test_files_are_a_table(env: dict[str, str]) -> None:
    outcome = dss_here(env, "explore", "files", "--limit", "2")

    assert outcome.out.splitlines() == [
        "files.name  files.format  files.size  bundles.bundleUuid  samples.effectiveOrgan",
        "0.csv       csv           0           b1 || b2            brain",
        "1.csv       csv           1           b1 || b2            brain",
    ]
    assert outcome.err == "2 of 250 files\n"


def test_all_rows_come_with_tsv_and_json(env: dict[str, str], catalogue: FakeCatalogue) -> None:
    catalogue.hits[0]["files"][0]["name"] = 'a\tb\n"c" ü'
    tsv = dss_here(env, "explore", "files", "--fields", "files.name,entryId", "--tsv")
    as_json = dss_here(env, "explore", "files", "--fields", "files.name,entryId", "--json").json

    rows = list(csv.reader(io.StringIO(tsv.out), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[:2] == [["files.name", "entryId"], ['a b "c" ü', "id-0"]]
    assert (len(rows), tsv.err) == (251, "")
    assert (as_json["catalog"], as_json["total"], len(as_json["hits"])) == ("hca", 250, 250)
    assert {params["fields"] for path, params in catalogue.asked if path == "files"} == {"files,entryId"}


def test_columns_are_names_globs_or_lists() -> None:
    rows = [flat(file_hit(1))]

    assert chosen_columns("files", ["bundles"], rows) == ["bundles.bundleUuid", "bundles.bundleVersion"]
    assert chosen_columns("files", ["files.n*", "entryId"], rows) == ["files.name", "entryId"]
    assert chosen_columns("files", ["samples.id"], rows) == ["samples.id"]
    assert "entryId" in chosen_columns("animals", [], rows)
    with pytest.raises(errors.InvalidInput, match=r"no column 'file.name'; did you mean 'files.name'"):
        chosen_columns("files", ["file.name"], rows)


def test_a_list_that_is_empty_in_all_first_rows_is_a_column(
    env: dict[str, str], catalogue: FakeCatalogue
) -> None:
    catalogue.hits[100]["donorOrganisms"] = [{"sex": "female", "age": None}]

    outcome = dss_here(env, "explore", "files", "--fields", "entryId,donorOrganisms.sex", "--tsv")

    rows = outcome.out.splitlines()
    assert (rows[0], rows[1], rows[101]) == ("entryId\tdonorOrganisms.sex", "id-0\t", "id-100\tfemale")
    assert outcome.err == ""
    wrong = dss_here(env, "explore", "files", "--fields", "donors.sex")
    assert (wrong.code, "no column 'donors.sex'" in wrong.err) == (1, True)


def test_columns_that_come_too_late_are_named(env: dict[str, str], catalogue: FakeCatalogue) -> None:
    catalogue.hits[100]["donorOrganisms"] = [{"sex": "female", "age": None}]

    outcome = dss_here(env, "explore", "files", "--fields", "entryId,donor*", "--tsv")

    assert outcome.out.splitlines()[0] == "entryId"
    assert outcome.err == (
        "without columns that the first 100 rows lack; --fields can name them: donorOrganisms.sex\n"
    )


def test_a_cell_is_one_line() -> None:
    assert cell(["a", "b", "a", None]) == "a || b"
    assert cell({"value": "20", "unit": None}) == "20"
    assert cell({"x": [1]}) == '{"x": [1]}'
    assert cell("\x1b[31mred\nblue\u2028") == " [31mred blue "
    assert (cell(None), cell(True), cell(1.5)) == ("", "true", "1.5")


def test_wide_cells_are_cut_for_people_alone(env: dict[str, str], catalogue: FakeCatalogue) -> None:
    catalogue.hits = [file_hit(1, files=[{"name": "x" * 100}])]

    shown, tsv = (
        dss_here(env, "explore", "files", "--fields", "files.name", *more).out for more in ([], ["--tsv"])
    )

    assert shown.splitlines()[1] == "x" * 59 + "…"
    assert tsv.splitlines()[1] == "x" * 100


def test_nothing_found_is_no_table(env: dict[str, str], catalogue: FakeCatalogue) -> None:
    catalogue.hits = []

    assert dss_here(env, "explore", "files") == Outcome(0, "", "")
    assert dss_here(env, "explore", "files", "--tsv", "--fields", "files.name").out == "files.name\n"


def test_types_of_other_plug_ins_are_commands_too(env: dict[str, str]) -> None:
    assert "id-1 " in dss_here(env, "explore", "animals", "--catalog", "recordings", "--fields", "*").out
    wrong = dss_here(env, "explore", "animal", "--catalog", "recordings")
    assert (wrong.code, "it has animals; did you mean 'animals'?" in wrong.err) == (1, True)


def test_facets_are_lines_with_their_most_frequent_values(env: dict[str, str]) -> None:
    assert dss_here(env, "explore", "facets", "organ").out.splitlines() == [
        "facet  count  value",
        "organ  3      brain",
        "organ  1      20 year",
        "organ  1      null",
    ]
    assert (
        dss_here(env, "explore", "facets", "--limit", "1", "--tsv").out
        == "facet\tcount\tvalue\norgan\t3\tbrain\n"
    )
    assert len(dss_here(env, "explore", "facets", "--json").json["termFacets"]["organ"]["terms"]) == 3


def test_a_summary_is_lines_or_json(env: dict[str, str]) -> None:
    assert dss_here(env, "explore", "summary").out.splitlines() == [
        "fileCount          250",
        "organTypes         brain",
        "fileTypeSummaries  format csv  count 2  totalSize 20.0",
    ]
    assert dss_here(env, "explore", "summary", "--json").json["fileCount"] == 250


def test_catalogs_lists_what_there_is(env: dict[str, str]) -> None:
    assert dss_here(env, "explore", "catalogs").out.splitlines()[1:] == [
        "hca         hca         files, samples",
        "recordings  recordings  animals",
    ]
    assert dss_here(env, "explore", "catalogs", "--json").json["catalogs"][1]["entity_types"] == ["animals"]


def test_two_forms_of_output_are_refused(env: dict[str, str]) -> None:
    outcome = dss_here(env, "explore", "files", "--json", "--tsv")

    assert (outcome.code, "give one of them" in outcome.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [(["explore"], "fi", ["files"]), (["explore", "samples", "--order"], "", ["asc", "desc"])],
)
def test_a_shell_completes_types_and_options(words: list[str], begun: str, expected: list[str]) -> None:
    found = ShellComplete(cli, {}, "dss", VARIABLE).get_completions(words, begun)

    assert [each.value for each in found] == expected


def test_help_has_the_forms_of_filters() -> None:
    for line in ("organ=brain", "'organ=brain|null'", "fileSize=1000..2000", "'fileSize:=3042'"):
        assert line in dss_here({}, "explore", "--help").out
