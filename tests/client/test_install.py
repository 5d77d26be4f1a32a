"""`pip install ./client` gives a small client that works without the service."""

import json
import os
import resource
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from local.source_tree import ROOT

MIB = 1024 * 1024
# The oldest and the newest are checked here, and in cloudbuild.yaml.
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# Printed by the installed Python, at the end: what `dss --help` imports.
IMPORTED = """
import json, sys
from dss.commands.main import cli
cli(["--help"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""
UUID = "11111111-1111-4111-8111-111111111111"
PROGRAM = """
import dss

URL = "https://dss.example.org"
client = dss.Client(URL, "token", replica="gcp")
for bundle in client.bundles(prefix="a2"):
    print(bundle["uuid"])
"""
# Printed by the installed Python: what the installation consists of, but for pip itself.
SURVEY = """
import json
from importlib.metadata import distributions
rows = {}
for distribution in distributions():
    if (name := distribution.metadata["Name"].lower()) not in ("pip", "setuptools"):
        paths = [file.locate() for file in distribution.files or []]
        rows[name] = sum(path.stat().st_size for path in paths if path.exists())
print(json.dumps(rows))
"""


class Installation:
    """A virtual environment that has the client and nothing else of this checkout."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "venv" / "bin"

    def run(self, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment, with nothing of this process's environment but PATH."""
        program, *arguments = command
        return subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def pip(python: str, *arguments: str) -> None:
    """Run pip, which finds nothing of this checkout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=env, cwd="/", check=True, timeout=300)


def _build(source: Path, target: Path) -> Path:
    # In a copy: setuptools builds within the source tree.
    copy = target / "source"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build"))
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(target), str(copy))
    [wheel] = target.glob("dss_client-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(ROOT / "client", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    directory = tmp_path_factory.mktemp("installed")
    venv.create(directory / "venv", with_pip=True)
    pip(str(directory / "venv" / "bin" / "python"), "install", str(wheel))
    return Installation(directory)


def test_the_wheel_holds_the_package_its_types_and_its_readme(wheel: Path) -> None:
    shown = subprocess.check_output([sys.executable, "-m", "zipfile", "--list", str(wheel)], text=True)
    names = {line.split()[0] for line in shown.splitlines()[1:]}

    assert {"dss/py.typed", "dss/client.py", "dss/commands/main.py", "dss/transfer/upload.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"dss", "dss_client"}


def test_the_wheel_says_what_it_is_for(wheel: Path) -> None:
    distribution = PathDistribution(zipfile.Path(wheel, f"{wheel.name.rsplit('-', 3)[0]}.dist-info/"))
    classifiers = distribution.metadata.get_all("Classifier") or []
    commands = [one.value for one in distribution.entry_points.select(group="console_scripts", name="dss")]

    assert distribution.metadata["Requires-Python"] == f">={PYTHONS[0]}"
    named = {name.rpartition(" ")[2] for name in classifiers if name.startswith("Programming Language")}
    assert named == set(PYTHONS)
    assert "Typing :: Typed" in classifiers
    assert commands == ["dss.commands.main:main"]


def test_it_brings_few_distributions_and_few_bytes(installed: Installation) -> None:
    sizes = json.loads(installed.run("python", "-c", SURVEY).stdout)

    assert len(sizes) < 15
    assert sum(sizes.values()) < 20 * MIB
    assert not {"flask", "google-cloud-storage", "boto3", "cryptography"} & set(sizes)


def test_the_command_and_the_library_work(installed: Installation) -> None:
    shown = installed.run("dss", "--help")
    used = installed.run(
        "python", "-c", "import dss; print(dss.Client('https://dss.example.org', 'a.b.c').url)"
    )

    assert shown.returncode == 0
    assert "download" in shown.stdout
    assert (used.stdout, used.stderr) == ("https://dss.example.org/v1\n", "")


@pytest.mark.parametrize("command", ["admin", "local"])
def test_commands_of_the_service_are_not_there(installed: Installation, command: str) -> None:
    outcome = installed.run("dss", command)

    assert outcome.returncode == 2
    assert f"No such command '{command}'" in outcome.stderr


@pytest.mark.parametrize(
    ("replica", "bucket", "extra"), [("gcp", "gs://bucket/x", "gcs"), ("aws", "s3://bucket/x", "s3")]
)
def test_an_upload_without_the_extra_names_it(
    installed: Installation, replica: str, bucket: str, extra: str
) -> None:
    data = installed.directory / "data"
    data.mkdir(exist_ok=True)
    (data / "a.txt").write_text("content")
    options = ("--replica", replica, "--staging", bucket, "--token", "not.a.jwt")

    outcome = installed.run("dss", "upload", str(data), *options, DSS_URL="http://127.0.0.1:1")

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        f"dss: an upload to {bucket[:11]} needs a package that is not installed: "
        f"pip install 'dss-client[{extra}]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "what", "extra"),
    [
        (("export", UUID, "--to", "bags", "--as", "bag"), "--as bag", "bag"),
        (("export", UUID, "--to", "crates", "--as", "ro-crate"), "--as ro-crate", "ro-crate"),
        (("export", UUID, "--to", "s3://bucket", "--as", "bag"), "--to s3://bucket", "s3"),
        (("copy-bundles", "--source", "gs://bucket", "--all"), "--source gs://bucket", "gcs"),
    ],
)
def test_an_export_or_a_copy_without_the_extra_names_it(
    installed: Installation, arguments: tuple[str, ...], what: str, extra: str
) -> None:
    outcome = installed.run("dss", *arguments, DSS_URL="http://127.0.0.1:1")

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        f"dss: {what} needs a package that is not installed: pip install 'dss-client[{extra}]'\n"
    )


def test_signing_a_token_without_the_extra_names_it(installed: Installation) -> None:
    (installed.directory / "key.json").write_text("{}")

    outcome = installed.run("dss", "token", "--key-file", "key.json", "--audience", "x")

    assert outcome.returncode == 1
    assert "pip install 'dss-client[sign]'" in outcome.stderr


def cpu_seconds(installed: Installation, *command: str) -> float:
    """Return the CPU time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert installed.run(*command).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_takes_less_than_a_third_of_a_second_of_cpu(installed: Installation) -> None:
    # On a busy machine the same work takes more time of a processor, now and then.
    assert any(cpu_seconds(installed, "dss", "--help") < 0.3 for _ in range(5))


def test_help_imports_nothing_heavy(installed: Installation) -> None:
    shown = installed.run("python", "-c", IMPORTED)
    imported = set(json.loads(shown.stdout.splitlines()[-1]))

    assert "dss.commands.main" in imported
    assert not imported & {
        *(
            "asyncio",
            "cryptography",
            "fsspec",
            "google_crc32c",
            "jwt",
            "keyring",
            "pandas",
            "requests",
            "rich",
        ),
        *("ssl", "urllib3", "dss.api", "dss.client", "dss.transfer"),
    }


def test_a_program_that_uses_it_is_checked_by_its_types(installed: Installation) -> None:
    (installed.directory / "right.py").write_text(PROGRAM)
    (installed.directory / "wrong.py").write_text(PROGRAM.replace("dss.Client(URL", "dss.Client(1"))

    done = check_types(installed, "right.py", "wrong.py")

    assert 'incompatible type "int"' in done.stdout
    assert done.stdout.endswith("Found 1 error in 1 file (checked 2 source files)\n")
    assert "right.py" not in done.stdout


def check_types(installed: Installation, *programs: str) -> "subprocess.CompletedProcess[str]":
    """Run mypy, which sees the environment and nothing of this checkout."""
    python = str(installed.programs / "python")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--python-executable",
        python,
        *programs,
    ]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    return subprocess.run(
        command, cwd=installed.directory, env=env, capture_output=True, text=True, timeout=300, check=False
    )
