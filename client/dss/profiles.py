"""The settings of the client. Each is taken from the first of these that has it, here and nowhere else:

1. an argument: `--url` of a command, `url=` of `dss.Client`
2. an environment variable: `DSS_URL`
3. the profile: `url` in its table of `~/.config/dss/config.toml` (below XDG_CONFIG_HOME, if that is set)
4. the default

The profile is the one that an argument (`--profile`) or DSS_PROFILE names, or that `default_profile` names
in the file, or `[profiles.default]`. It says how to sign in to the DSS at its `url`: one that nobody asked
for by name is left out if an argument or DSS_URL names another DSS.

default_profile = "prod"

[profiles.prod]
url = "https://dss.example.org"
gs_staging_bucket = "my-bucket/staging"
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from dss import environment
from dss.errors import InvalidInput

DEFAULT_REPLICA = "gcp"
# A profile is a few lines; a file of more bytes is something else.
_MOST_BYTES = 1_000_000


def _setting(variable: str, meaning: str, *, default: str | None = None, in_profile: bool = True) -> Any:
    metadata = {"variable": variable, "meaning": meaning, "in_profile": in_profile}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in use; `origins` has where each comes from: `an argument`, a variable, a profile."""

    url: str | None = _setting("DSS_URL", "The DSS, as https://HOST.")
    replica: str = _setting("DSS_REPLICA", "The cloud to use.", default=DEFAULT_REPLICA)
    token: str | None = _setting("DSS_TOKEN", "The token that says who you are.", in_profile=False)
    gs_staging_bucket: str | None = _setting("DSS_GS_STAGING_BUCKET", "Where to stage uploads to gcp.")
    s3_staging_bucket: str | None = _setting("DSS_S3_STAGING_BUCKET", "Where to stage uploads to aws.")
    key_file: str | None = _setting("DSS_KEY_FILE", "Key of a service account, which signs the tokens.")
    audience: str | None = _setting(
        "DSS_AUDIENCE", "Audience of tokens of Google credentials and service accounts, and of logins."
    )
    issuer: str | None = _setting("DSS_ISSUER", "URL of the OpenID provider, if the DSS names none.")
    client_id: str | None = _setting("DSS_CLIENT_ID", "OAuth client of logins, if the DSS names none.")
    client_secret: str | None = _setting("DSS_CLIENT_SECRET", "Secret of that client, if it has one.")
    scopes: str | None = _setting("DSS_SCOPES", "What a login asks for  [default: openid email]")
    token_type: str | None = _setting(
        "DSS_TOKEN_TYPE", "What to send to the DSS of a login: id_token or access_token."
    )
    claims: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def staging_bucket(self) -> str | None:
        """The staging bucket of the replica, if it has one."""
        return {"gcp": self.gs_staging_bucket, "aws": self.s3_staging_bucket}.get(self.replica)


_ROWS = {row.name: row.metadata for row in fields(Settings) if row.metadata}
_IN_PROFILE = {name for name, row in _ROWS.items() if row["in_profile"]} | {"claims"}


def config_file() -> Path:
    """Return the path of the file of profiles, which need not exist."""
    return environment.config_directory() / "config.toml"


def load_settings(*, profile: str | None = None, **arguments: str | None) -> Settings:
    """Return the settings; arguments that are None were not given, and empty ones count.

    Raises InvalidInput if the profile does not exist, or the file of profiles is not usable.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    variables = {name: environment.value(row["variable"]) for name, row in _ROWS.items()}
    by_variable = {name: value for name, value in variables.items() if value}
    name, table = _chosen(profile, given.get("url") or by_variable.get("url"))
    origins = {
        **{key: f"profile {name}" for key in table},
        **{key: _ROWS[key]["variable"] for key in by_variable},
        **dict.fromkeys(given, "an argument"),
    }
    values: dict[str, Any] = {**table, **by_variable, **given}
    if values.get("token_type") not in (None, "id_token", "access_token"):
        raise InvalidInput(f"token_type: {values['token_type']!r} is neither id_token nor access_token")
    return Settings(**values, profile=name, origins=origins)


def _chosen(named: str | None, url: str | None) -> tuple[str | None, Mapping[str, Any]]:
    """Return name and table of the profile that counts, or None and nothing."""
    document = _read(config_file())
    profiles = document["profiles"]
    asked = named or environment.value("DSS_PROFILE")
    name = asked or document["default_profile"]
    if name is None and "default" not in profiles:
        return None, {}
    name = name or "default"
    if name not in profiles:
        raise InvalidInput(f"there is no profile {name!r} in {config_file()}{_suggestion(name, profiles)}")
    table = profiles[name]
    if not asked and url and "url" in table and base_of(table["url"]) != base_of(url):
        return None, {}
    return name, table


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if not names:
        return "; it has no profiles: `dss login --url https://HOST` makes one"
    close = _nearest(name, names)
    return f"; did you mean {close[0]!r}?" if close else f"; it has: {', '.join(names)}"


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    # Its import costs `dss --help` some milliseconds.
    import difflib

    return difflib.get_close_matches(name, list(known), n=1)


def base_of(url: str) -> str:
    """Return the URL of a DSS without `/v1` and slashes at its end, host in lower case: as its name."""
    trimmed = url.rstrip("/").removesuffix("/v1").rstrip("/")
    scheme, separator, rest = trimmed.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}"


def _read(path: Path) -> dict[str, Any]:
    """Return `default_profile` and `profiles` of a file, checked; neither if there is no file."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {"default_profile": None, "profiles": {}}
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; make it readable for you, or remove it") from error
    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"{path} has more than {_MOST_BYTES} bytes; it should have profiles only")
    document = _parsed(path, content)
    default, profiles = document.pop("default_profile", None), document.pop("profiles", {})
    if document:
        unknown = ", ".join(sorted(document))
        raise InvalidInput(f"{path}: unknown: {unknown}; it may have default_profile and [profiles.NAME]")
    if not isinstance(default, str | None) or not isinstance(profiles, dict):
        raise InvalidInput(
            f"{path}: default_profile must be text, and profiles must be tables [profiles.NAME]"
        )
    for name, table in profiles.items():
        _check(f"{path}: profile {name}", table)
    return {"default_profile": default, "profiles": profiles}


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return dict(tomllib.loads(content.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error


def _check(where: str, table: Any) -> None:
    if not isinstance(table, dict):
        raise InvalidInput(f"{where} must be a table")
    for key, value in table.items():
        if key not in _IN_PROFILE:
            close = _nearest(key, _IN_PROFILE)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(_IN_PROFILE))}"
            raise InvalidInput(f"{where} has {key!r}, which is unknown; {hint}")
        texts = value.values() if key == "claims" and isinstance(value, dict) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise InvalidInput(f"{where}: {key} must be text{' in a table' if key == 'claims' else ''}")


def profile_names() -> list[str]:
    """Return the names of all profiles, in order. Raises InvalidInput if the file is not usable."""
    return sorted(_read(config_file())["profiles"])


def add_profile(name: str, url: str) -> None:
    """Add a profile for a DSS to the file, which has none of that name. Raises InvalidInput."""
    path = config_file()
    # TOML's basic strings are JSON's, but for characters above U+FFFF.
    quoted_name, quoted_url = (json.dumps(text, ensure_ascii=False) for text in (name, url))
    addition = f"\n[profiles.{quoted_name}]\nurl = {quoted_url}\n".encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path, "ab", opener=partial(os.open, mode=0o600)) as file:
            file.write(addition)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; profiles are kept there") from error
