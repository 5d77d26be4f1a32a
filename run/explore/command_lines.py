"""Command lines that download a manifest, or with it all of its files, in the shells that people have."""

import shlex
from collections.abc import Mapping

CMD, BASH = "cmd.exe", "bash"
_CURL: Mapping[str, str] = {CMD: "curl.exe", BASH: "curl"}
# The predecessor's. A file that was begun is continued, one that is complete is left alone, and what may pass
# is tried again for some minutes.
_FILES = "--fail-early --continue-at - --retry 15 --retry-delay 10 --config -"


def to_download(url: str, name: str) -> dict[str, str]:
    """Return the command lines that save what is at a URL, under a name if there is one."""
    saved = {shell: f"--output {_quoted(shell, name)}" if name else "--remote-name" for shell in _CURL}
    return {
        shell: f"{curl} --location --fail {saved[shell]} {_quoted(shell, url)}"
        for shell, curl in _CURL.items()
    }


def to_download_files(url: str) -> dict[str, str]:
    """Return the command lines that download the files of the `curl` manifest at a URL."""
    return {
        shell: f"{curl} --location --fail {_quoted(shell, url)} | {curl} {_FILES}"
        for shell, curl in _CURL.items()
    }


def as_text(lines: Mapping[str, str]) -> str:
    """Return command lines as people read them."""
    return "".join(
        f"\nDownload the manifest in {shell} with curl using:\n\n{lines[shell]}\n" for shell in lines
    )


def _quoted(shell: str, text: str) -> str:
    if shell == BASH:
        return shlex.quote(text)
    # URLs have neither of these; names of files for cmd.exe can't have them.
    return '"' + text.replace('"', "_").replace("\\", "_") + '"'
