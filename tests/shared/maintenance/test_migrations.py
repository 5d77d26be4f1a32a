"""Migrations of the catalog run in order, each once, after older releases have heard of it."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from shared.catalog import SCHEMA, Switches
from shared.errors import IllegalArguments, Outdated
from shared.maintenance.migrations import MIGRATIONS, Migration, migrate, pending
from shared.switches import LiveSwitches


class World:
    """A catalog of three documents, and what happens to it, in order."""

    def __init__(self) -> None:
        self.known = Switches()
        self.documents = [0, 0, 0]
        self.said: list[str] = []
        self.kill_after = 99
        switches = SimpleNamespace(get=self._get, set_schema=self._schema, set_migrated=self._migrated)
        clock = SimpleNamespace(sleep=lambda seconds: self.said.append(f"sleep {seconds}"))
        self.dss: Any = SimpleNamespace(catalog=SimpleNamespace(switches=switches), clock=clock)

    def _get(self) -> Switches:
        return self.known

    def _schema(self, version: int) -> None:
        self.said.append(f"schema {version}")
        self.known = replace(self.known, schema=version)

    def _migrated(self, version: int) -> None:
        self.said.append(f"migrated {version}")
        self.known = replace(self.known, migrated=version)

    def migrations(self, last: int) -> list[Migration]:
        def one(number: int) -> Migration:
            def apply(_: Any) -> Iterator[int]:
                for at, form in enumerate(self.documents):
                    if form < number:
                        self.kill_after -= 1
                        if self.kill_after < 0:
                            raise KeyboardInterrupt
                        self.documents[at] = number
                        yield 1

            def count(_: Any) -> int:
                return sum(form < number for form in self.documents)

            return Migration(number=number, summary="s", pending=count, apply=apply)

        return [one(number) for number in range(1, last + 1)]


def test_older_releases_hear_of_a_version_before_anything_has_it() -> None:
    world = World()

    counted = pending(world.dss, world.migrations(2))
    assert (world.said, [step.documents for step in counted]) == ([], [3, 3])
    done = [step for step in migrate(world.dss, world.migrations(2)) if step.done]

    assert world.said == [
        *("schema 1", "sleep 5", "migrated 1"),
        *("schema 2", "sleep 5", "migrated 2"),
    ]
    assert (world.documents, [step.documents for step in done]) == ([2, 2, 2], [3, 3])
    assert list(migrate(world.dss, world.migrations(2))) == []


@pytest.mark.parametrize("kill_after", range(6))
def test_a_migration_that_was_killed_goes_on(kill_after: int) -> None:
    world = World()
    world.kill_after = kill_after
    with pytest.raises(KeyboardInterrupt):
        list(migrate(world.dss, world.migrations(2)))
    assert world.known.migrated == kill_after // 3

    world.kill_after = 99
    list(migrate(world.dss, world.migrations(2)))

    assert (world.documents, world.known.schema, world.known.migrated) == ([2, 2, 2], 2, 2)


def test_an_older_release_refuses_to_migrate_and_to_write() -> None:
    world = World()
    world.known = Switches(schema=SCHEMA + 1)

    with pytest.raises(IllegalArguments, match=f"has schema {SCHEMA + 1}"):
        pending(world.dss)
    live = LiveSwitches(world.dss.catalog.switches, read_only_mode=False)
    for check in (live.check_writes, live.check_running):
        with pytest.raises(Outdated, match="deploy the release"):
            check()


def test_each_version_has_its_migration() -> None:
    assert [one.number for one in MIGRATIONS] == list(range(1, SCHEMA + 1))
