"""A bundle of 10,000 files, the most that one may have, takes little memory to be written."""

import multiprocessing
import resource
from multiprocessing.connection import Connection

import pytest

from tests.support.catalogue import open_catalogue
from tests.support.hca_sample import HcaBundle, id_of
from tests.support.postgresql_server import StoppableServer

FILES = 10_000
# MiB, of the process that writes it. The function has 2 GiB for four at once (terraform/explore.tf).
MOST_MEMORY = 350


def large_bundle() -> HcaBundle:
    """Return a bundle with FILES files of one specimen, made by 50 processes."""
    bundle = HcaBundle("large")
    specimen = bundle.add("specimen_from_organism", organ={"text": "brain"})
    of_one = HcaBundle("one")
    of_one.file("name.fastq")
    [entry], document = of_one.files, of_one.document(id_of("name.fastq"))
    outputs = []
    for number in range(FILES):
        name = f"{number}.fastq"
        bundle.files.append({**entry, "name": name, "uuid": id_of(f"data {name}"), "size": number})
        provenance = {**document["provenance"], "document_id": id_of(name)}
        core = {**document["file_core"], "file_name": name}
        bundle.documents[f"sequence_file_{number}.json"] = {
            **document,
            "file_core": core,
            "provenance": provenance,
        }
        outputs.append(id_of(name))
    for first in range(0, FILES, FILES // 50):
        bundle.link([specimen], outputs[first : first + FILES // 50])
    return bundle


def write(dsn: str, answer: Connection) -> None:
    """Write the bundle, and send how many files are found and the most memory of this process in MiB."""
    with open_catalogue(dsn) as catalogue:
        catalogue.put(large_bundle().metadata())
        found, _ = catalogue.counts("files")
    answer.send((found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


@pytest.mark.large
def test_it_is_written_in_little_memory(postgresql: StoppableServer) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(postgresql.dsn, theirs))
    process.start()
    theirs.close()
    assert ours.poll(600)
    found, mebibytes = ours.recv()
    process.join(60)

    print(f"{FILES} files: {mebibytes:.0f} MiB")
    assert found == FILES
    assert mebibytes < MOST_MEMORY
