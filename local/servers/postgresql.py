"""A PostgreSQL server in a directory of its own, as a user that is not root."""

import os
import pwd
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from local import probes
from local.errors import LocalError, MissingRequirements
from local.supervisor.ports import HOST

POSTGRESQL = "PostgreSQL 15 or newer: apt-get install postgresql"
# Debian's user of PostgreSQL, and one that every Linux has.
_USERS = ("postgres", "nobody")
# Debian's folder of server programs, one directory a version; they are not in PATH.
_DEBIAN = "/usr/lib/postgresql"
# Data end with the local system, so it need not survive a crash of the machine.
_FAST = ("fsync=off", "full_page_writes=off")


def find_programs(environment: Mapping[str, str]) -> Path:
    """Return the directory of the newest PostgreSQL server programs. Raises MissingRequirements.

    POSTGRESQL_ROOT names the directory that has a folder for each version; the default is Debian's.
    """
    root = Path(environment.get("POSTGRESQL_ROOT", _DEBIAN))
    directories = [Path(name) for name in environment.get("PATH", os.defpath).split(os.pathsep)]
    debian = [path for path in root.glob("*/bin") if path.parent.name.isdecimal()]
    newest_first = sorted(debian, key=lambda path: int(path.parent.name), reverse=True)
    for directory in (*newest_first, *directories):
        if all((directory / name).is_file() for name in ("initdb", "postgres")):
            return directory
    raise MissingRequirements([POSTGRESQL])


class Server:
    """A server in `directory`, which it makes if necessary; on the loopback interface, with a password.

    Its processes run as this process's user; if that is root, as an unprivileged user, because PostgreSQL
    refuses to run as root. Raises LocalError if that user cannot reach the directory.
    """

    def __init__(self, programs: Path, directory: Path, port: int) -> None:
        self.port = port
        self._programs = programs
        self._directory = directory
        self._password = secrets.token_hex(16)
        self._user = _unprivileged() if os.geteuid() == 0 else None
        directory.mkdir(mode=0o700, exist_ok=True)
        password_file = directory / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        if self._user:
            for path in (directory, password_file):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
            _let_through(directory.parent)

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

    def answers(self) -> None:
        """Return if the server takes connections. Raises NotReady."""
        # Imported late: a system without PostgreSQL should not wait for it.
        import psycopg

        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            raise probes.NotReady(str(error)) from error


def _unprivileged() -> pwd.struct_passwd:
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError(f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}.")


def _let_through(directory: Path) -> None:
    """Let other users enter a directory without listing it.

    Raises LocalError if they cannot enter the directories above it.
    """
    directory.chmod(directory.stat().st_mode | 0o011)
    for parent in directory.parents:
        if not parent.stat().st_mode & 0o001:
            raise LocalError(
                f"PostgreSQL does not run as root, and other users cannot enter {parent}: run "
                "chmod o+x on it, or choose another --data."
            )
