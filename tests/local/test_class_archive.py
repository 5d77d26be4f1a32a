"""The emulators use an archive of their classes if there is one for them, and start without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import archive_classes, class_archive
from local.machine import Emulators, find_emulators


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return the paths of a JVM and a jar, and look for archives in an empty directory."""
    monkeypatch.setattr(class_archive, "DIRECTORY", tmp_path / "archives")
    (tmp_path / "archives").mkdir()
    java, jar = tmp_path / "java", tmp_path / "emulator.jar"
    java.write_text("java")
    jar.write_text("jar")
    return java, jar


def test_an_archive_is_used_if_it_is_there(programs):
    assert class_archive.flags(*programs) == ()

    archive = class_archive.path_of(*programs)
    archive.write_bytes(b"classes")

    assert f"-XX:SharedArchiveFile={archive}" in class_archive.flags(*programs)


@pytest.mark.parametrize("changed", [0, 1])
def test_another_version_of_the_jvm_or_the_jar_has_its_own(programs, changed):
    class_archive.path_of(*programs).write_bytes(b"classes")

    programs[changed].write_text("another version")

    assert class_archive.flags(*programs) == ()


def test_a_program_that_is_not_there_has_none(tmp_path):
    assert class_archive.flags(tmp_path / "java", tmp_path / "jar") == ()


def test_the_jvm_goes_on_without_an_archive_that_it_cannot_use(tmp_path):
    broken = tmp_path / "broken.jsa"
    broken.write_bytes(os.urandom(10_000))
    java = find_emulators(os.environ).java

    answer = subprocess.run(
        [java, f"-XX:SharedArchiveFile={broken}", "-Xlog:cds=off", "-version"],
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (0, b"")


def test_those_of_this_machine_are_made_once():
    """`make test` has made them; on another machine this does."""
    command = [sys.executable, "-m", "local.archive_classes"]
    root = Path(class_archive.__file__).resolve().parents[1]
    subprocess.run(command, cwd=root, check=True, timeout=300)
    emulators = find_emulators(os.environ)
    for jar in (emulators.firestore, emulators.pubsub):
        [flag, _] = class_archive.flags(emulators.java, jar)
        log = subprocess.run(
            [emulators.java, "-Xshare:on", flag, "-XX:+UseSerialGC", "-cp", jar, "-version"],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert log.returncode == 0, log
    again = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=300)
    assert again.stdout == b""


def test_a_jvm_that_makes_none_does_no_harm(programs, tmp_path, monkeypatch, capsys):
    java, jar = programs
    java.write_text("#!/bin/sh\necho no such option\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setattr(
        archive_classes, "find_emulators", lambda _: Emulators(java=java, firestore=jar, pubsub=jar)
    )

    archive_classes.main()

    said = capsys.readouterr().out
    assert said.count("No archive, so emulator.jar starts as slowly as ever") == 2
    assert "no such option" in said
    assert list((tmp_path / "archives").iterdir()) == []
