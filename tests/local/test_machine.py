"""What the machine lacks is named with the command that installs it."""

from pathlib import Path

import pytest

from local.errors import MissingRequirements
from local.machine import find_emulators

JARS = (
    "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
    "platform/pubsub-emulator/lib/cloud-pubsub-emulator-1.2.3-all.jar",
)


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Make an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def sdk(tmp_path):
    """The Google Cloud CLI with both emulators; nothing of it is on PATH."""
    root = tmp_path / "sdk"
    for jar in JARS:
        (root / jar).parent.mkdir(parents=True, exist_ok=True)
        (root / jar).touch()
    executable(root / "bin" / "gcloud")
    return root


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    with pytest.raises(MissingRequirements) as failure:
        find_emulators({"PATH": str(tmp_path)})
    text = str(failure.value)
    assert "java: apt-get install openjdk-17-jre-headless" in text
    assert "apt-get install google-cloud-cli-firestore-emulator" in text
    assert "gcloud components install pubsub-emulator" in text


def test_only_what_is_missing_is_named(tmp_path, sdk):
    executable(tmp_path / "bin" / "java")
    (sdk / JARS[1]).unlink()
    with pytest.raises(MissingRequirements) as failure:
        find_emulators({"PATH": f"{tmp_path / 'bin'}:{sdk / 'bin'}"})
    assert str(failure.value).count("apt-get install") == 1
    assert "google-cloud-cli-pubsub-emulator" in str(failure.value)


@pytest.mark.parametrize("how", ["link", "script", "variable"])
def test_the_emulators_are_found_by_where_gcloud_is(tmp_path, sdk, how):
    java = executable(tmp_path / "bin" / "java")
    environment = {"PATH": f"{java.parent}:/usr/bin:/bin"}
    if how == "link":
        (java.parent / "gcloud").symlink_to(sdk / "bin" / "gcloud")
    elif how == "script":
        executable(java.parent / "gcloud", f"#!/bin/sh\necho {sdk}\n")
    else:
        environment["CLOUDSDK_ROOT_DIR"] = str(sdk)
    found = find_emulators(environment)
    assert found.java == java
    assert found.firestore == sdk / JARS[0]
    assert found.pubsub == sdk / JARS[1]


def test_java_home_goes_before_path(tmp_path, sdk):
    java = executable(tmp_path / "jdk" / "bin" / "java")
    executable(tmp_path / "bin" / "java")
    environment = {"PATH": f"{tmp_path / 'bin'}:{sdk / 'bin'}", "JAVA_HOME": str(tmp_path / "jdk")}
    assert find_emulators(environment).java == java
