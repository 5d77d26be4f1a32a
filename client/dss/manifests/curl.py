"""The configuration of curl that is a manifest: a `url` and an `output` for each file."""

import re
from collections.abc import Iterator
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

from dss.manifests.lines import placed_lines
from dss.manifests.rows import NAME, PATH, UUID, VERSION, Row, damaged

_OPTION = re.compile(r"-{0,2}(?P<name>[\w-]+)(\s*[=:\s]\s*(?P<value>\S.*))?")
_QUOTED = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(.)")
# What curl makes of a backslash and a letter within quotes; of others it takes the letter.
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "v": "\v"}
# The path of a file in the catalogue's routes, or in those of v1.
_PATH = re.compile(r".*/(?:repository|v1)/files/(?P<uuid>[^/]+)")
# A URL is 8 KiB at most, a path 4 KiB.
_MOST_CHARACTERS = 64 * 1024


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row for each file; one line is in memory.

    Raises InvalidInput, which names the line, for what is no such configuration, or ends too early.
    """
    url, begun = "", ""
    for place, name, value in _options(stream):
        if name == "url":
            if url:
                yield Row(place=begun, problem="its url has no output")
            url, begun = value, place
        elif name == "output":
            yield _row(begun or place, url, value)
            url, begun = "", ""
    if url:
        raise damaged(begun, "its url has no output")


def _options(stream: IO[bytes]) -> Iterator[tuple[str, str, str]]:
    for place, line in placed_lines(stream, _MOST_CHARACTERS):
        text = line.strip()
        if text.startswith("#"):
            continue
        match = _OPTION.fullmatch(text)
        if match is None:
            raise damaged(place, f"{text[:80]!r} is no option of curl")
        yield place, match["name"], _unquoted(place, match["value"] or "")


def _unquoted(place: str, value: str) -> str:
    if not value.startswith('"'):
        return value
    match = _QUOTED.fullmatch(value)
    if match is None:
        raise damaged(place, f"{value[:80]!r} has no closing quote")
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), match["text"])


def _row(place: str, url: str, output: str) -> Row:
    try:
        parts = urlsplit(url)
        match = _PATH.fullmatch(parts.path)
        versions = parse_qs(parts.query).get("version", [""])
    except ValueError:
        match, versions = None, [""]
    if match is None:
        where = f"{url[:120]!r} is" if url else "there is no url, and none"
        return Row(place=place, problem=f"{where} the URL of a file of a DSS")
    # The first step is the bundle.
    name, uuid = output.partition("/")[2] or output, unquote(match["uuid"])
    return Row(place=place, values={UUID: uuid, VERSION: versions[0], NAME: name, PATH: output})
