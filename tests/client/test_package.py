"""The client reads the environment in one place. (tests/test_architecture.py checks that it stands alone.)"""

from local.source_tree import ROOT


def test_one_module_reads_the_environment() -> None:
    ways = ("os.environ", "getenv", "Path.home")
    modules = {path.name: path.read_text() for path in (ROOT / "client" / "dss").rglob("*.py")}

    assert [name for name, text in modules.items() if any(way in text for way in ways)] == ["environment.py"]
