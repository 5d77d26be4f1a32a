"""Bundles whose metadata can't be used: each is refused with a reason that names the file and the field."""

import copy
import itertools
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.explore.bundle_metadata import BundleMetadata, UnusableMetadata
from shared.explore.changes import Said
from shared.explore.hca import graph
from shared.explore.rows import row_of
from tests.support.catalogue import documents_of
from tests.support.hca_sample import PLUGIN, HcaBundle, id_of, sequenced

LINKS = "links.json"


def refusal(bundle: HcaBundle | BundleMetadata) -> str:
    """Return why a bundle is refused."""
    metadata = bundle.metadata() if isinstance(bundle, HcaBundle) else bundle
    assert PLUGIN.accepts(metadata)
    with pytest.raises(UnusableMetadata) as caught:
        PLUGIN.contributions(metadata)
    return str(caught.value)


def full() -> HcaBundle:
    """Return a bundle with each kind of document and each form of link."""
    bundle = sequenced()
    project = bundle.document(bundle.project)
    project |= {
        "contributors": [{"name": "Ada", "laboratory": "A", "corresponding_contributor": True}],
        "publications": [{"title": "On it", "url": "https://p.example", "official_hca_publication": False}],
        "supplementary_links": ["https://s.example"],
        "geo_series_accessions": ["GSE1"],
        "estimated_cell_count": 5,
        "hca_bionetworks": [{"name": "Fin", "hca_tissue_atlas": "Fin", "atlas_project": True}],
    }
    line = bundle.add("cell_line", type="primary", model_organ={"text": "fin"})
    organoid = bundle.add("organoid", model_organ={"text": "fin"}, model_organ_part={"text": "ray"})
    image = bundle.file("i.tiff", "image_file")
    imaging = bundle.add("imaging_protocol", probe=[{"assay_type": {"text": "in situ"}}])
    analysis = bundle.add("analysis_protocol", protocol_core={"protocol_id": "w1"})
    matrix = bundle.file(
        "m.loom", "analysis_file", core={"content_description": [{"text": "Matrix"}]}, matrix_cell_count=3
    )
    described = "genusSpecies=Danio rerio;organ=fin\norgan=brain"
    bundle.file(
        "s.mtx",
        "supplementary_file",
        core={"content_description": [{"text": "matrix"}]},
        file_description=described,
    )
    bundle.file("z.zarr/.zattrs", "analysis_file")
    bundle.file("z.zarr/0", "analysis_file")
    bundle.link([line], [organoid])
    bundle.link([organoid], [image], [imaging])
    bundle.link([image], [matrix], [analysis], "analysis_process")
    old = bundle.add("cell_suspension", total_estimated_cells=4, selected_cell_type=[{"text": "neuron"}])
    bundle.documents[LINKS]["links"] += [
        {"source_id": line, "source_type": "biomaterial", "destination_id": old, "destination_type": "x"},
        {
            "process": bundle.add("process"),
            "inputs": [old],
            "outputs": [bundle.file("o.fastq")],
            "protocols": [{"protocol_id": imaging}],
        },
        {"link_type": "supplementary_file_link", "entity": {}, "files": []},
    ]
    return bundle


def test_the_sample_itself_is_fine() -> None:
    types = [each.entity_type for each in PLUGIN.contributions(full().metadata())]

    assert sorted(set(types)) == ["bundles", "cell_suspensions", "files", "projects", "samples"]


SPECIMEN, DONOR, FILE = "specimen_from_organism_0.json", "donor_organism_0.json", "sequence_file_0.json"

# The path of a value of the sample, what it becomes, and the reason.
WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (
        (SPECIMEN, "describedBy"),
        "https://schema.example/type/x/1/unicorn",
        f"{SPECIMEN}: describedBy: must end",
    ),
    ((SPECIMEN, "describedBy"), None, f"{SPECIMEN}: describedBy: must end"),
    ((SPECIMEN,), [], f"{SPECIMEN}: must be a JSON object"),
    ((SPECIMEN, "provenance"), None, f"{SPECIMEN}: provenance: is missing"),
    ((SPECIMEN, "provenance", "document_id"), None, f"{SPECIMEN}: provenance.document_id: must be a UUID"),
    ((SPECIMEN, "provenance", "document_id"), "x" * 5000, f"{SPECIMEN}: provenance.document_id: must be"),
    ((SPECIMEN, "provenance", "document_id"), id_of("suspension of bundle"), "is that of another file, too"),
    (
        (SPECIMEN, "provenance", "submission_date"),
        "soon",
        f"{SPECIMEN}: provenance.submission_date: is no date",
    ),
    (
        (SPECIMEN, "provenance", "update_date"),
        "0001-01-01T00:00:00+14:00",
        f"{SPECIMEN}: provenance.update_date: is no date",
    ),
    ((SPECIMEN, "organ"), {"text": "a||b"}, f"{SPECIMEN}: organ.text: must not contain '||'"),
    ((SPECIMEN, "organ"), {"text": "a\0b"}, f"{SPECIMEN}: organ.text: must not contain a null character"),
    ((SPECIMEN, "organ"), {"text": "\ud800"}, f"{SPECIMEN}: organ.text: must not contain a part of a char"),
    ((SPECIMEN, "organ"), {"a\0": ""}, f"{SPECIMEN}: organ: must not contain a null character"),
    ((SPECIMEN, "organ"), {"text": 1}, f"{SPECIMEN}: organ.text: must be a text"),
    ((SPECIMEN, "organ"), ["brain"], f"{SPECIMEN}: organ: must be a text or an ontology term"),
    ((SPECIMEN, "diseases"), [{"text": {}}], f"{SPECIMEN}: diseases[0].text: must be a text"),
    ((DONOR, "sex"), True, f"{DONOR}: sex: must be a text, is True"),
    ((DONOR, "organism_age"), [2], f"{DONOR}: organism_age: must be a text"),
    (
        (FILE, "file_core", "file_name"),
        "other",
        f"{FILE}: file_core.file_name: the bundle has no file 'other'",
    ),
    ((FILE, "file_core", "file_name"), None, f"{FILE}: file_core.file_name: is missing"),
    ((FILE, "file_core"), "x", f"{FILE}: file_core: must be an object"),
    (("cell_suspension_0.json", "estimated_cell_count"), "many", "must be a whole number from 0"),
    (("cell_suspension_0.json", "estimated_cell_count"), 1.5, "estimated_cell_count: must be a whole number"),
    (("cell_suspension_0.json", "estimated_cell_count"), -1, "must be a whole number"),
    (("cell_suspension_0.json", "estimated_cell_count"), 10**400, "must be a whole number"),
    (("cell_suspension_0.json", "estimated_cell_count"), float("inf"), "must be a whole number"),
    (("sequencing_protocol_0.json", "paired_end"), "yes", "paired_end: must be true or false"),
    (("project_0.json", "contributors"), {"name": "x"}, "project_0.json: contributors: must be a list"),
    (
        ("project_0.json", "contributors", 0, "laboratory"),
        [],
        "project_0.json: contributors[0].laboratory: must be a text",
    ),
    (("project_0.json", "hca_bionetworks"), [7], "project_0.json: hca_bionetworks[0]: must be an object"),
    (
        ("project_0.json", "geo_series_accessions"),
        "G",
        "project_0.json: geo_series_accessions: must be a list",
    ),
    (("project_0.json", "describedBy"), "/x/process", "project_0.json: the bundle has 0 projects"),
    ((SPECIMEN, "describedBy"), "/x/project", "project_0.json: the bundle has 2 projects"),
    (
        ("supplementary_file_0.json", "file_description"),
        "A matrix of all",
        "supplementary_file_0.json: file_description: 'A matrix of all' is not NAME=VALUES",
    ),
    ((LINKS,), None, "links.json: is missing"),
    ((LINKS,), "x", "links.json: must be a JSON object"),
    ((LINKS, "links"), {}, "links.json: links: must be a list"),
    ((LINKS, "links", 0), "source_id", "links.json: links[0]: must be an object"),
    ((LINKS, "links", 0), {}, "links.json: links[0].process: is missing"),
    ((LINKS, "links", 0, "link_type"), "chain", "links.json: links[0].link_type: must be process_link or"),
    ((LINKS, "links", 0, "inputs"), "abc", "links.json: links[0].inputs: must be a list"),
    ((LINKS, "links", 0, "inputs", 0), 1, "links.json: links[0].inputs[0]: must be an object"),
    (
        (LINKS, "links", 0, "inputs", 0, "input_id"),
        id_of("nobody"),
        f"links.json: links[0].inputs[0].input_id: names '{id_of('nobody')}', of which the bundle has no",
    ),
    ((LINKS, "links", 2, "protocols", 1), {}, "links.json: links[2].protocols[1].protocol_id: is missing"),
]


def replaced(documents: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        documents = documents[step]
    documents[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "reason"), WRONG, ids=[str(number) for number in range(len(WRONG))]
)
def test_a_bundle_with_a_wrong_value_is_refused(path: tuple[Any, ...], value: Any, reason: str) -> None:
    bundle = full()
    replaced(bundle.documents, path, value)

    assert reason in refusal(bundle)


def test_a_bundle_without_links_is_refused() -> None:
    bundle = full()
    del bundle.documents[LINKS]

    assert refusal(bundle) == "links.json: the bundle has no such metadata file; add it, with indexed: true"


def test_a_metadata_file_that_could_not_be_read_is_named() -> None:
    metadata = sequenced().metadata()
    documents = {name: each for name, each in metadata.documents.items() if name != "project_0.json"}
    left_out = {"project_0.json": "larger than 4194304 bytes"}

    reason = refusal(BundleMetadata(metadata.fqid, metadata.files, documents, left_out))

    assert reason == "project_0.json: could not be read: larger than 4194304 bytes"


def test_a_cycle_is_refused() -> None:
    bundle = HcaBundle()
    one, other = bundle.add("cell_line"), bundle.add("cell_line")
    bundle.link([one], [other])
    bundle.link([other], [one])

    assert refusal(bundle).startswith("links.json: links: has a cycle: ")


def test_what_came_of_itself_is_refused() -> None:
    bundle = HcaBundle()
    line = bundle.add("cell_line")
    bundle.documents[LINKS]["links"] = [{"source_id": line, "destination_id": line}]

    assert refusal(bundle).startswith("links.json: links: has a cycle: ")


def test_too_many_edges_are_refused_before_a_graph_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # A tenth, and five times as many, which is a tenth of a million.
    monkeypatch.setattr(graph, "MAX_EDGES", graph.MAX_EDGES // 10)
    bundle = HcaBundle()
    lines = [bundle.add("cell_line", f"line {number}") for number in range(317)]
    metadata = bundle.metadata()
    links = [
        {
            "process": lines[number],
            "inputs": [],
            "outputs": lines[:number] + lines[number + 1 :],
            "protocols": [],
        }
        for number in range(316)
    ]
    documents = {**metadata.documents, LINKS: {"links": links}}
    started = time.process_time()
    tracemalloc.start()

    try:
        reason = refusal(BundleMetadata(metadata.fqid, metadata.files, documents))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert reason == f"links.json: links: has more than {graph.MAX_EDGES} edges"
    # Bytes, and seconds of this process, under a profiler of memory.
    assert peak < 10_000_000
    assert time.process_time() - started < 4


def chain(length: int, files: int) -> BundleMetadata:
    """Return a bundle of a chain of cell suspensions, with files made of the last of them."""
    bundle = HcaBundle()
    chained = [bundle.add("cell_suspension", f"suspension {number}") for number in range(length)]
    links = [{"source_id": one, "destination_id": next_} for one, next_ in itertools.pairwise(chained)]
    links += [
        {"source_id": chained[-1], "destination_id": bundle.file(f"{number}.fastq")}
        for number in range(files)
    ]
    bundle.documents[LINKS]["links"] = links
    return bundle.metadata()


def test_a_graph_that_takes_too_many_steps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_STEPS", 10_000)

    assert PLUGIN.contributions(chain(20, 50))
    assert refusal(chain(100, 200)).startswith("links.json: links: is too large")


def test_a_deep_graph_is_no_problem() -> None:
    contributions = PLUGIN.contributions(chain(600, 1))

    assert len(contributions) == 600 + 1 + 2


def test_a_text_of_a_mebibyte_is_taken_as_it_is() -> None:
    bundle = sequenced()
    long = "brain " * 180_000
    bundle.document(id_of("specimen"))["organ"] = {"text": long}
    bundle.document(id_of("donor of specimen"))["organism_age"] = " " * 1_000_000

    documents = documents_of(PLUGIN, bundle.metadata())

    sample = documents["samples", id_of("specimen")]
    assert sample["contents"]["samples"][0]["organ"] == long
    assert "organism_age_range" not in sample["contents"]["donors"][0]


@pytest.mark.parametrize(("digits", "has_range"), [(99, True), (101, False)])
def test_an_age_beyond_all_measure_has_a_range_that_json_can_hold_or_none(
    digits: int, has_range: bool
) -> None:
    bundle = sequenced()
    bundle.document(id_of("donor of specimen"))["organism_age"] = "9" * digits

    documents = documents_of(PLUGIN, bundle.metadata())

    [donor] = documents["samples", id_of("specimen")]["contents"]["donors"]
    assert ("organism_age_range" in donor) is has_range
    json.dumps(donor, allow_nan=False)


# What a node may become: of any type, empty, null, what can't be stored, and numbers that are too large.
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        10**400,
        1e308,
        "",
        "x",
        "a\0b",
        "\ud800",
        "a||b",
        [],
        {},
        [[]],
        [{}],
        {"text": []},
        ["x"],
        [None],
        {"text": "x"},
        {"x\0_accessions": ["1"]},
        "9" * 5000,
        id_of("specimen"),
        id_of("nobody"),
    ]
)
# What is done to a bundle: which of its nodes, counted, and what it becomes.
CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["replace", "delete"]), VALUES), min_size=1, max_size=3
)


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a value with each of its keys."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(steps):
        yield value, key
        yield from nodes(inner)


ORIGINAL = full()


def is_indexed_or_refused(metadata: BundleMetadata) -> bool:
    """Return whether a bundle is indexed, through all that needs no database, rather than refused."""
    try:
        documents = documents_of(PLUGIN, metadata)
    except UnusableMetadata as error:
        assert error.file
        return False
    for (entity_type, _), document in documents.items():
        row = row_of(document, PLUGIN.fields)
        answer = PLUGIN.hit(entity_type, document)
        sums = PLUGIN.sums(entity_type, document)
        stored = [document, answer, row.values, row.keys, sums, PLUGIN.words(document)]
        # What PostgreSQL can store: no infinity, no halves of characters, no null character.
        text = json.dumps(stored, allow_nan=False, ensure_ascii=False)
        assert b"\\u0000" not in text.encode()
        assert all(type(number) is int and abs(number) < 2**62 for number in sums)
    return True


@settings(max_examples=150)
@given(CHANGES)
def test_any_change_of_a_bundle_is_indexed_or_refused(changes: list[tuple[int, str, Any]]) -> None:
    documents = copy.deepcopy(ORIGINAL.documents)
    for number, action, value in changes:
        found = list(nodes(documents))
        container, key = found[number % len(found)]
        if action == "delete":
            del container[key]
        else:
            container[key] = copy.deepcopy(value)

    metadata = BundleMetadata(ORIGINAL.fqid, ORIGINAL.metadata().files, documents)
    if PLUGIN.accepts(metadata):
        is_indexed_or_refused(metadata)


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_each_node_of_a_bundle_may_be_of_any_type(value: Any) -> None:
    documents = copy.deepcopy(ORIGINAL.documents)
    metadata = BundleMetadata(ORIGINAL.fqid, ORIGINAL.metadata().files, documents)
    refused = []
    for container, key in list(nodes(documents)):
        before = container[key]
        container[key] = value
        try:
            Said.of(PLUGIN.contributions(metadata)).encode().encode()
        except UnusableMetadata as error:
            refused.append(error.file)
        container[key] = before
    # No file can do without its id.
    assert set(documents) == set(refused)
