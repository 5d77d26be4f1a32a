"""What the tests need and a machine lacks is named before they start."""

from local.errors import MissingRequirements
from tests.support.machine import missing


def test_everything_that_is_missing_is_named_with_what_installs_it(tmp_path):
    lines = missing({"PATH": str(tmp_path), "POSTGRESQL_ROOT": str(tmp_path)})

    named = [line.partition(":")[0] for line in lines]
    programs = ["curl", "chromium", "chromedriver", "rclone", "gcloud", "terraform"]
    emulators = ["the Firestore emulator", "the Pub/Sub emulator"]
    assert named == [*programs, f"PostgreSQL in {tmp_path}", "java", *emulators]
    assert all("apt-get install" in line or "https://" in line for line in lines)
    assert all(line in str(MissingRequirements(lines)) for line in lines)


def test_any_of_a_programs_names_will_do(tmp_path):
    (tmp_path / "google-chrome").touch(mode=0o755)

    assert not any(line.startswith("chromium") for line in missing({"PATH": str(tmp_path)}))
