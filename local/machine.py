"""Find the programs that the local system needs: Java, and the emulators of the Google Cloud CLI."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import MissingRequirements

JAVA = "java: apt-get install openjdk-17-jre-headless"
FIRESTORE = (
    "the Firestore emulator: apt-get install google-cloud-cli-firestore-emulator"
    " (or: gcloud components install cloud-firestore-emulator)"
)
PUBSUB = (
    "the Pub/Sub emulator: apt-get install google-cloud-cli-pubsub-emulator"
    " (or: gcloud components install pubsub-emulator)"
)
PACKAGES = "the Python package {name}: make setup"


@dataclass(frozen=True, kw_only=True)
class Emulators:
    """The paths of Java and the two emulators."""

    java: Path
    firestore: Path
    pubsub: Path


def find_emulators(environment: Mapping[str, str]) -> Emulators:
    """Find Java and the emulators.

    Raises MissingRequirements, with a line for each missing program and the command that installs it.
    """
    path = environment.get("PATH", os.defpath)
    java = _java(environment, path)
    firestore, pubsub = _jars(environment, path)
    missing = [line for line, found in ((JAVA, java), (FIRESTORE, firestore), (PUBSUB, pubsub)) if not found]
    missing += [PACKAGES.format(name=name) for name in ("moto", "gunicorn") if not _installed(name)]
    if missing or not (java and firestore and pubsub):
        raise MissingRequirements(missing)
    return Emulators(java=java, firestore=firestore, pubsub=pubsub)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _java(environment: Mapping[str, str], path: str) -> Path | None:
    home = environment.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    found = shutil.which("java", path=path)
    return Path(found) if found else None


def _jars(environment: Mapping[str, str], path: str) -> tuple[Path | None, Path | None]:
    gcloud = shutil.which("gcloud", path=path)
    roots = []
    if environment.get("CLOUDSDK_ROOT_DIR"):
        roots.append(Path(environment["CLOUDSDK_ROOT_DIR"]))
    if gcloud:
        roots.append(Path(gcloud).resolve().parent.parent)
    found = _jars_below(roots)
    if all(found) or not gcloud:
        return found
    # Some packages install a script instead of a link: then only gcloud knows, and takes a second to answer.
    return _jars_below([*roots, *_root_by_gcloud(gcloud, environment)])


def _root_by_gcloud(gcloud: str, environment: Mapping[str, str]) -> list[Path]:
    command = [gcloud, "info", "--format=value(installation.sdk_root)"]
    try:
        answer = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    root = answer.stdout.strip()
    return [Path(root)] if root else []


def _jars_below(roots: list[Path]) -> tuple[Path | None, Path | None]:
    return (
        _newest(roots, "platform/cloud-firestore-emulator/cloud-firestore-emulator*.jar"),
        _newest(roots, "platform/pubsub-emulator/lib/cloud-pubsub-emulator*all.jar"),
    )


def _newest(roots: list[Path], pattern: str) -> Path | None:
    for root in roots:
        jars = sorted(root.glob(pattern), key=lambda jar: jar.stat().st_mtime)
        if jars:
            return jars[-1]
    return None
