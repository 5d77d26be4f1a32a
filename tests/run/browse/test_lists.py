"""Lists: what is found, by what, and that a page's URL is all that it takes to see it again."""

import pytest

from tests.run.browse.conftest import ANY, LAB, OWN, SAMPLES, Page, Pages
from tests.support.hca_sample import HcaBundle, sequenced

FILES = "/browse/files"
NAMES = ["first_1.fastq", "first_2.fastq", "third_1.fastq", "third_2.fastq"]


def terms(page: Page) -> dict[str, str]:
    """Return the numbers beside the values of facets."""
    found = (label.text.rpartition(" ") for label in page.all("label", class_="term"))
    return {name: number for name, _, number in found}


def chips(page: Page) -> dict[str, str]:
    """Return the URLs without each filter, by what it says."""
    return {
        link.text.removesuffix(" (remove)"): link["href"]
        for link in page.all("a")
        if link.text.endswith(" (remove)")
    }


def test_the_first_page_lists_projects_with_facets_and_numbers(pages: Pages) -> None:
    page = pages.get("/browse", catalog=SAMPLES)

    assert page.rows() == ["Title of project"]
    assert "1 projects found, with 60 bytes in 4 files" in page.text
    assert (terms(page)["brain"], terms(page)["liver"]) == ("1", "1")
    [tabs] = [nav for nav in page.all("nav") if nav["aria-label"] == "What to list"]
    assert tabs.text.split() == ["Projects", "Samples", "Files", "Bundles"]


def test_counts_change_as_one_chooses(pages: Pages) -> None:
    page = pages.get(FILES, catalog=SAMPLES, **{"is.organ": "brain"})

    assert page.rows() == NAMES[:2]
    assert "2 files found, with 30 bytes in 2 files" in page.text
    # But for those of the facet itself.
    assert (terms(page)["liver"], terms(page)["fastq"]) == ("2", "2")
    [checked] = [
        box
        for box in page.all("input", type="checkbox")
        if "checked" in box.attributes and box["name"] != "column"
    ]
    assert (checked["name"], checked["value"]) == ("is.organ", "brain")


def test_what_is_chosen_is_a_chip_that_leads_to_the_list_without_it(pages: Pages) -> None:
    chosen = {"is.organ": ["brain", "liver"], "q": "title", "least.fileSize": "15", "sort": "fileSize"}
    page = pages.get(FILES, catalog=SAMPLES, **chosen)

    assert sorted(page.rows()) == ["first_2.fastq", "third_2.fastq"]
    assert list(chips(page)) == ["Words: title", "Organ: brain", "Organ: liver", "File size: 15 to …"]
    assert pages.get(chips(page)["Organ: liver"]).rows() == ["first_2.fastq"]
    assert pages.get(chips(page)["File size: 15 to …"]).rows()[:2] != page.rows()
    assert sorted(pages.get(page.link("Remove all")).rows()) == NAMES


def test_no_value_is_a_value(pages: Pages) -> None:
    pages.service.put(OWN, sequenced("with", organ="lung").metadata())
    without = HcaBundle("without")
    without.link([without.add("specimen_from_organism")], [without.file("without.txt")])
    pages.service.put(OWN, without.metadata())

    page = pages.get(FILES, catalog=OWN, none="organ")

    assert page.rows() == ["without.txt"]
    assert terms(page)["none"] == "1"
    assert list(chips(page)) == ["Organ: none"]
    assert len(pages.get(FILES, catalog=OWN, none="organ", **{"is.organ": "lung"}).rows()) == 3


def test_pages_follow_each_other_in_both_directions(pages: Pages) -> None:
    bundle = HcaBundle("many", project="many")
    for number in range(45):
        bundle.file(f"{number:02}.many")
    pages.service.put(OWN, bundle.metadata())
    of_many = {"is.fileFormat": "many", "catalog": OWN, "order": "desc", "sort": "fileName"}

    first = pages.get(FILES, **of_many)
    second = pages.get(first.link("Next"))
    third = pages.get(second.link("Next"))

    listed = [name for page in (first, second, third) for name in page.rows()]
    assert listed == [f"{number:02}.many" for number in reversed(range(45))]
    assert not [link for link in third.all("a") if link.text == "Next"]
    assert pages.get(third.link("Previous")).rows() == second.rows()
    assert len(pages.get(first.link("50")).rows()) == 45


def test_a_list_is_sorted_by_a_column_and_back(pages: Pages) -> None:
    page = pages.get(pages.get(FILES, catalog=SAMPLES).link("File size"))
    assert [head["aria-sort"] for head in page.all("th") if "aria-sort" in head.attributes] == ["ascending"]
    assert {name[-7] for name in page.rows()[:2]} == {"1"}

    again = pages.get(page.link("File size"))
    assert {name[-7] for name in again.rows()[:2]} == {"2"}


def test_other_lists_keep_filters_and_words(pages: Pages) -> None:
    page = pages.get(FILES, catalog=SAMPLES, q="title", sort="fileSize", **{"is.organ": "liver"})

    samples = pages.get(page.link("Samples"))
    assert samples.rows() == ["c"]
    assert list(chips(samples)) == ["Words: title", "Organ: liver"]


def test_columns_are_chosen(pages: Pages) -> None:
    page = pages.get(FILES, catalog=SAMPLES, column=["fileName", "pairedEnd", "organismAge", "donorCount"])

    assert [head.text for head in page.all("th", scope="col")] == [
        *("File name", "Paired end", "Organism age", "Donor count")
    ]
    assert [cell.text for cell in page.all("td")][:3] == ["yes", "2 year", "1"]


def test_who_may_not_read_sees_nothing_of_it(pages: Pages) -> None:
    assert "secret" not in pages.get("/browse", catalog=SAMPLES).html
    member = pages.get("/browse", catalog=SAMPLES, by=pages.service.member(LAB))
    assert member.rows() == ["Title of project", "Title of secret"]


def test_all_values_of_a_facet_are_on_a_page_and_searched(pages: Pages) -> None:
    page = pages.get("/browse/files/values/organ", catalog=SAMPLES, q="title")
    assert page.rows() == ["brain", "liver"]
    assert pages.get(page.link("liver")).rows() == NAMES[2:]
    assert list(chips(pages.get(page.link("liver")))) == ["Words: title", "Organ: liver"]

    found = pages.get("/browse/files/values/organ", catalog=SAMPLES, find="RAI")
    assert found.rows() == ["brain"]
    nothing = pages.get("/browse/files/values/organ", catalog=SAMPLES, find="zzz")
    assert "No value holds this text" in nothing.text


def test_an_empty_list_says_what_to_do(pages: Pages) -> None:
    page = pages.get(FILES, catalog=SAMPLES, q="nothing-of-the-kind")
    assert "Nothing is found. Remove a filter above, or all of them." in page.text
    assert "Nothing is found. Either nothing is in this catalogue yet" in pages.get(FILES, catalog=ANY).text


def test_a_catalogue_of_any_metadata_has_its_own_lists(pages: Pages) -> None:
    page = pages.get("/browse", catalog=ANY)

    [tabs] = [nav for nav in page.all("nav") if nav["aria-label"] == "What to list"]
    assert tabs.text.split() == ["Files", "Bundles"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"unknown": "1"}, "unknown: this page has no such parameter"),
        ({"is.nothing": "1"}, "'nothing': this catalogue has no such field"),
        ({"is.pairedEnd": "maybe"}, "is.pairedEnd: 'maybe' is not a value of this field"),
        ({"least.fileSize": "large"}, "fileSize: 'large' is not a number"),
        ({"least.organ": "1"}, "organ: only numbers and days have bounds"),
        ({"most.submissionDate": "soon"}, "submissionDate: 'soon' is not a day such as 2024-03-01"),
        (
            {"is.fileSize": "1", "most.fileSize": "2"},
            "fileSize: filter it by values or by bounds, not by both",
        ),
        ({"q": ["a", "b"]}, "q: is there more than once"),
        ({"q": "x" * 1001}, "Invalid value for `q`"),
        ({"size": "21"}, "size: '21' is not one of 20, 50"),
        ({"sort": "<script>"}, "Unknown field `<script>`"),
        ({"order": "up"}, "Invalid value for `order`"),
        ({"after": "x"}, "Invalid value for `search_after`"),
        ({"after": '["1", "2"]', "before": '["1", "2"]'}, "Only one of search_after or search_before"),
        ({"column": "nothing"}, "column: 'nothing': this catalogue has no such field"),
        ({"column": [f"c{number}" for number in range(21)]}, "column: 21 columns; choose 20 at most"),
    ],
)
def test_an_odd_parameter_is_a_page_that_says_so(pages: Pages, query: dict[str, str], said: str) -> None:
    page = pages.get(FILES, **{"catalog": SAMPLES, **query}, status=400)

    assert page.title.startswith("Bad Request")
    assert said in page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script>" not in page.html.replace("<script src", "")


@pytest.mark.parametrize(
    "path", ["/browse/nothing", "/browse/files/values/nothing", "/browse/files?catalog=x", "/browse/a/b/c/d"]
)
def test_what_is_not_there_is_a_page_too(pages: Pages, path: str) -> None:
    assert pages.get(path, status=404).link("Begin again with the list") == "/browse"


def test_bounds_hold_both_days(pages: Pages) -> None:
    def found(**bounds: str) -> int:
        return len(
            pages.get(
                FILES, catalog=SAMPLES, **{name.replace("_", "."): day for name, day in bounds.items()}
            ).rows()
        )

    assert found(least_submissionDate="2024-01-01", most_submissionDate="2024-01-01") == 4
    assert found(least_submissionDate="2024-01-02") == 0
    assert found(most_submissionDate="2023-12-31") == 0


def test_charts_are_of_what_a_list_shows(pages: Pages) -> None:
    page = pages.get(pages.get(FILES, catalog=SAMPLES, **{"is.organ": "brain"}).link("Charts"))

    drawn = dict(zip(page.rows(), [each["width"] for each in page.all("rect")], strict=False))
    assert (drawn["fastq"], drawn["brain"]) == ("100.0%", "100.0%")
    titles = [each.text.lower() for each in page.all("h2")][:7]
    assert titles[:4] == [f"bytes by {name}" for name in ("format", "organ", "species", "project")]
    assert titles[4:] == [f"cells by {name}" for name in ("organ", "species", "project")]
    assert "30 bytes" in page.text
    assert pages.get(page.link("liver")).rows() == NAMES
    assert pages.get(page.link("Back to the list")).rows() == NAMES[:2]
    empty = pages.get("/browse/charts/files", catalog=SAMPLES, q="nothing-of-the-kind")
    assert "nothing to draw" in empty.text


def test_the_longest_page_is_less_than_100_kb(pages: Pages) -> None:
    """With long names, long values in every cell, and many values of each facet."""
    for number in range(10):
        bundle = sequenced(
            f"long {number} {'x' * 100}", project=f"long {'y' * 1000}", organ=f"{number} {'z' * 300}"
        )
        for file in range(10):
            bundle.file(f"{number}_{file}_{'é' * 90}.long")
        pages.service.put(OWN, bundle.metadata())

    page = pages.get(FILES, catalog=OWN, size=50, q="long", order="desc", sort="fileName")

    assert len(page.rows()) == 50
    assert page.size < 100_000


def test_every_page_forbids_what_it_does_not_need(pages: Pages) -> None:
    for path, status in (
        ("/browse", 200),
        (FILES, 200),
        ("/browse/nothing", 404),
        ("/browse/files?size=1", 400),
    ):
        headers = pages.get(path, status=status).headers
        policy = dict(each.partition(" ")[::2] for each in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {*policy.values()} == {"'none'", "'self'"}
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")


def test_the_style_sheet_is_kept_until_it_changes(pages: Pages) -> None:
    page = pages.get("/browse")
    kept = [each["href"] for each in page.all("link")] + [each["src"] for each in page.all("script")]

    assert len(kept) == 3
    for url in kept:
        answer = pages.client.get(url)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )
        assert "?" in url
