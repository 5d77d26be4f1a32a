"""What the client reads from environment variables: here, and nowhere else."""

import os
import sys
from pathlib import Path


def value(variable: str) -> str | None:
    """Return the value of a variable, None if it is not set or empty."""
    return os.environ.get(variable) or None


def local_token_url() -> str | None:
    """Return DSS_LOCAL_TOKEN_URL, the token issuer of a system that `dss local` started."""
    return os.environ.get("DSS_LOCAL_TOKEN_URL")


def google_project() -> str | None:
    """Return GOOGLE_CLOUD_PROJECT."""
    return os.environ.get("GOOGLE_CLOUD_PROJECT")


def google_credentials() -> Path | None:
    """Return GOOGLE_APPLICATION_CREDENTIALS, the file of Google's application default credentials."""
    name = value("GOOGLE_APPLICATION_CREDENTIALS")
    return Path(name) if name else None


def gcloud_credentials() -> Path:
    """Return where `gcloud auth application-default login` puts credentials."""
    config = value("CLOUDSDK_CONFIG")
    directory = Path(config) if config else Path.home() / ".config" / "gcloud"
    return directory / "application_default_credentials.json"


def has_google_credentials() -> bool:
    """Return whether gcloud has made default credentials, or this machine is in Google Cloud.

    Google's library would ask the network, and wait nine seconds where there are none.
    """
    if gcloud_credentials().exists():
        return True
    # Cloud Run and emulators set these; machines have it in their firmware.
    if any(value(name) for name in ("GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB")):
        return True
    try:
        return Path("/sys/class/dmi/id/product_name").read_text().startswith("Google")
    except (OSError, UnicodeDecodeError):
        return False


def cache_directory() -> Path:
    """Return the directory for what may be lost: XDG_CACHE_HOME/dss, or ~/.cache/dss."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dss"


def config_directory() -> Path:
    """Return the directory of profiles and logins: XDG_CONFIG_HOME/dss, or ~/.config/dss."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "dss"


def logins_file() -> Path:
    """Return the file that lists the logins of this user."""
    return config_directory() / "credentials.json"


def may_have_browser() -> bool:
    """Return whether a browser could open a window: there is a display, or BROWSER names one."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(value(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
