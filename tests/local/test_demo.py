"""`make demo`, as a person runs it, and its failures."""

import json
import os
import re
import signal
from pathlib import Path
from unittest import mock

import pytest

from dss.commands.main import cli
from local.demo.data import LARGE_NAME, SAMPLE, Fingerprint, differences, fingerprints, make_sample
from local.demo.program import STEPS, STEPS_ANYWHERE
from local.demo.steps import REPLICAS, Scene, StepFailed
from tests.support.spoiled_demo import spoiled

MIB = 1024 * 1024
DEMO = ("-m", "local.demo")


@pytest.fixture
def data(tmp_path):
    """A directory with what the sample lacks: folders, an empty file, names that the demo uses."""
    directory = tmp_path / "data"
    (directory / "cells" / "ünïcode dir").mkdir(parents=True)
    (directory / "cells" / "ünïcode dir" / "100% of #1?.bin").write_bytes(os.urandom(70_000))
    (directory / "an empty file").write_bytes(b"")
    (directory / "and another").write_bytes(b"not a palindrome")
    (directory / "demo_note.json").write_text("{}")
    return directory


@pytest.fixture
def scene(whole_system, tmp_path, data):
    """The scene of a demo of that directory, on the shared system, without its subscriptions at the end."""
    (tmp_path / "scratch").mkdir()
    scene = Scene(env=whole_system, scratch=tmp_path / "scratch", data=data)
    with mock.patch.dict(os.environ, whole_system):
        yield scene
    for replica in REPLICAS:
        client = scene.client(replica)
        for row in client.subscriptions():
            if row["callback_url"] == scene.subscriber.url:
                client.unsubscribe(row["uuid"])
    scene.subscriber.shutdown()
    scene.subscriber.server_close()


def ended(command, code):
    """Wait for the end of the demo; fail unless it has this exit code and leaves nothing behind."""
    command.process.wait(240)
    command.assert_all_gone()
    assert command.process.returncode == code, command.output + command.errors
    return command.output


def test_a_sample_bundle_goes_in_and_comes_out_of_both_clouds(python):
    output = ended(python(*DEMO), 0)

    assert [step.title for step in STEPS if step.title not in output] == []
    assert "byte for byte the same from gcp and from aws" in output
    assert "not done" not in output


def test_one_wrong_byte_makes_a_step_fail(scene, data):
    (data / "an empty file").write_bytes(b"not empty")
    begun = []

    with pytest.raises(StepFailed) as failed:
        for step in spoiled("aws"):
            begun.append(step.title)
            step.act(scene)

    assert begun[-1] == "read back from aws"
    assert "an empty file" in str(failed.value)
    assert "sha256" in str(failed.value)


def test_a_dss_that_runs_is_tried_with_any_directory_and_what_any_deployment_has(
    whole_system, data, monkeypatch, capsys
):
    before = fingerprints(data)
    # Of the people that the local system knows a deployment has the one who tries it.
    for name in ("DSS_TOKEN_OTHER_GROUP", "DSS_CATALOGUES"):
        monkeypatch.delenv(name, raising=False)
    for name in set(whole_system) - {"DSS_TOKEN_OTHER_GROUP", "DSS_CATALOGUES"}:
        monkeypatch.setenv(name, whole_system[name])

    code = cli.main(["demo", "--data", str(data)], standalone_mode=False)

    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    assert [step.title for step in STEPS_ANYWHERE if step.title not in said.out] == []
    assert "4 files, 70,0" in said.out and "byte for byte the same" in said.out
    assert "an admin hides it" in said.out
    assert fingerprints(data) == before


def test_a_step_that_fails_is_named_and_ends_the_demo(python, data):
    (data / "an empty file").write_bytes(b"not empty")
    command = python("-m", "tests.support.spoiled_demo", str(data), "source")

    output = ended(command, 1)

    assert "demo: step" in command.errors
    assert "read back from gcp" in command.errors
    assert "an empty file" in command.errors
    assert "sha256" in command.errors
    assert "byte for byte" not in output


def test_a_directory_that_cannot_be_a_bundle_is_refused_before_anything_starts(python, tmp_path):
    (tmp_path / "nothing").mkdir()

    for given, code in ((tmp_path / "nothing", 1), (tmp_path / "not there", 2)):
        command = python(*DEMO, "--data", str(given))
        assert ended(command, code) == ""
        assert given.name in command.errors


def test_missing_programs_are_named_with_the_command_that_installs_them(python, tmp_path):
    command = python(*DEMO, PATH=str(tmp_path), JAVA_HOME="", CLOUDSDK_ROOT_DIR="")

    ended(command, 1)

    assert "java: apt-get install" in command.errors
    assert "the Pub/Sub emulator: apt-get install" in command.errors


@pytest.mark.parametrize("number", [1, 4])
def test_ctrl_c_ends_it_with_nothing_left(python, number):
    title = ["start the system", *(step.title for step in STEPS)][number - 1]
    command = python(*DEMO)
    command.wait_for(lambda: title in command.output, title, seconds=240)
    command.send(signal.SIGINT)

    ended(command, 130)

    # The step may just have ended.
    [stopped] = re.findall(r"stopped in step (\d+)", command.errors)
    assert number <= int(stopped) <= number + 1


def test_the_sample_is_the_same_every_time_and_has_a_file_that_s3_takes_in_parts(tmp_path):
    make_sample(tmp_path / "one")
    make_sample(tmp_path / "other")

    made = fingerprints(tmp_path / "one")

    assert differences(made, fingerprints(tmp_path / "other")) == []
    assert [name for name, file in made.items() if file.size > 64 * MIB] == [LARGE_NAME]


def test_the_metadata_of_the_sample_name_what_is_there():
    documents = {path.stem: json.loads(path.read_text()) for path in SAMPLE.glob("*.json")}
    links = documents.pop("links")["links"]
    kinds = {
        document["provenance"]["document_id"]: name.rpartition("_")[0] for name, document in documents.items()
    }
    linked = {link["process_id"]: "process" for link in links}
    for link in links:
        linked |= {row["input_id"]: row["input_type"] for row in link["inputs"]}
        linked |= {row["output_id"]: row["output_type"] for row in link["outputs"]}
        linked |= {row["protocol_id"]: row["protocol_type"] for row in link["protocols"]}
    [project] = [name for name, kind in kinds.items() if kind == "project"]

    assert linked == {name: kind for name, kind in kinds.items() if name != project}
    named = {row["file_core"]["file_name"] for row in documents.values() if row["schema_type"] == "file"}
    assert named == {LARGE_NAME, *(path.name for path in SAMPLE.glob("*.gz"))}


def test_a_file_that_is_missing_added_or_changed_is_a_difference():
    one, other = Fingerprint(1, "a"), Fingerprint(1, "b")

    assert differences({"x": one}, {"x": one}) == []
    assert differences({"x": one}, {}) == ["x is missing"]
    assert differences({}, {"x": one}) == ["x was not sent"]
    [line] = differences({"x": one}, {"x": other})
    assert "sha256 a" in line
    assert "sha256 b" in line


def test_the_sample_is_small_enough_to_be_carried():
    assert sum(path.stat().st_size for path in Path(SAMPLE).iterdir()) < 100_000
