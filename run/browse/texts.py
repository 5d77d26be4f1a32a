"""Numbers, sizes, times and names as people read them."""

import json
import re

# Characters of a text in a table or a list.
MOST_SHOWN = 200
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_WEB = re.compile(r"https?://[^\s\x00-\x1f\x7f]{1,2000}")
_VERSION = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?Z")


def number_text(number: float) -> str:
    """Return a number with commas between thousands."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,}"


def bytes_text(size: float) -> str:
    """Return a size in the unit in which it has one to three digits before the point."""
    power = 0
    while size >= 1000 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    if power and size >= 999.5:
        return f"1 {_UNITS[power + 1]}" if power < len(_UNITS) - 1 else f"{size:,.0f} {_UNITS[power]}"
    return f"{size:.3g} {_UNITS[power]}" if power else f"{size:.0f} {'byte' if size == 1 else 'bytes'}"


def time_text(text: str) -> str:
    """Return a version, or a time of the catalogue, to the second; other texts as they are."""
    match = _VERSION.fullmatch(text)
    return f"{match[1]} {match[2]}:{match[3]}:{match[4]} UTC" if match else text


def label(name: str) -> str:
    """Return the name of a field in words: `genusSpecies` is `Genus species`."""
    words = " ".join(word if word.isupper() else word.lower() for word in _WORD.findall(name)) or name
    return words[:1].upper() + words[1:]


def pretty(value: object) -> str:
    """Return JSON over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def is_web(text: object) -> bool:
    """Return whether a text is a URL that a page may link to: of metadata, anything may be said to be one."""
    return isinstance(text, str) and bool(_WEB.fullmatch(text))


def short(text: str, most: int = MOST_SHOWN) -> str:
    """Return the beginning of a long text, with how long it is."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text):,} characters)"
