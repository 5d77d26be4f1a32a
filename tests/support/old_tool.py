"""The command lines `hca` and `dbio` themselves, as users have them: `make test-clients` installs them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

# Seconds, for one command: an upload, or 301s that each wait for ten.
TIMEOUT = 120
PROGRAMS = Path(sys.prefix) / "clients" / "bin"


class ToolFailed(Exception):
    """A command ended with an exit code other than 0; the message is its output."""


class OldTool:
    """`tool("get-bundle", uuid=…, replica="gcp")` is `hca dss get-bundle --uuid … --replica gcp`."""

    def __init__(
        self, name: str, home: Path, contract: str, certificate: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        config = home / f"{name}.json"
        # The tool builds its `auth` commands at every start, but the server that it has for them is gone.
        config.write_text(json.dumps({one: {"swagger_url": contract} for one in ("DSSClient", "AuthClient")}))
        self._env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            f"{name.upper()}_CONFIG_FILE": str(config),
            "REQUESTS_CA_BUNDLE": str(certificate),
            **{one: value for one, value in env.items() if one.startswith("AWS_")},
            "GOOGLE_APPLICATION_CREDENTIALS": env["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"],
        }

    def signed_in_by_browser(self, email: str) -> None:
        """From now on use the login of somebody with a browser instead of the service account."""
        del self._env["GOOGLE_APPLICATION_CREDENTIALS"]
        # The local issuer has no TLS and no login page: the request names the user.
        self._env["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        self._env["BROWSER"] = f"curl -sSL %s&login_hint={email} &"
        wait_until(self._signed_in, "somebody signs in", seconds=90)

    def _signed_in(self) -> bool:
        try:
            self("login")
        except ToolFailed as error:
            # It waits for the browser at port 8080, which stays taken for a minute after the login before.
            if "Address already in use" in str(error):
                return False
            raise
        return True

    def __call__(self, command: str, /, **options: Any) -> Any:
        """Return the output of a command, as parsed JSON or else as text. Raise ToolFailed if it fails."""
        words = [str(PROGRAMS / self.name), "dss", command]
        for name, value in options.items():
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                words += [_word(one) for one in (value if isinstance(value, list) else [value])]
        done = subprocess.run(
            words, env=self._env, cwd=self._env["HOME"], capture_output=True, text=True, timeout=TIMEOUT
        )
        if done.returncode != 0:
            raise ToolFailed(done.stderr)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
