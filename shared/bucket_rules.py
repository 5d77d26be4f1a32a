"""Rules of the settings about buckets of others: which groups may use which buckets."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

_URL = re.compile(r"[a-z][a-z0-9]*://[^/]+(/.*)?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class BucketRule:
    """Members of `groups` may use what `url` names, such as `gs://lab-*/incoming/`.

    `*` stands for any characters, in the bucket's name for any but a slash. A URL without a key names the
    whole bucket, one that ends in a slash all keys that begin with it.
    """

    url: str
    groups: frozenset[str]

    def covers(self, url: str) -> bool:
        """Return whether the rule is about an object, or about a bucket, which has no key."""
        bucket, key = _split(url)
        own_bucket, own_key = _split(self.url)
        own_key += "*" if own_key == "" or own_key.endswith("/") else ""
        return _fits(bucket, own_bucket) and _fits(key, own_key)


def all_of(bucket: str, groups: frozenset[str]) -> BucketRule:
    """Return the rule about a bucket, or what begins with a prefix in it, as `gs://bucket/prefix`."""
    return BucketRule(url=f"{bucket.rstrip('/')}/", groups=groups)


def parse_rules(name: str, parsed: Any) -> tuple[BucketRule, ...]:
    """Return the rules of a setting: a list of `{url, groups}`. Raise ValueError, which names the setting."""
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    return tuple(_rule(f"{name}[{number}]", members) for number, members in enumerate(parsed))


def check_whole_buckets(name: str, rules: Iterable[BucketRule]) -> None:
    """Raise ValueError, which names the setting, if a rule is about a part of a bucket."""
    for rule in rules:
        bucket, key = _split(rule.url)
        if key:
            raise ValueError(f"{name}: {rule.url!r} has a key; name the whole bucket: {bucket}")


def _rule(path: str, members: Any) -> BucketRule:
    if not isinstance(members, Mapping) or set(members) != {"url", "groups"}:
        raise ValueError(f"{path}: must have `url` and `groups`, and nothing else")
    url, groups = members["url"], members["groups"]
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise ValueError(f"{path}.url: {url!r} does not have the form gs://bucket or gs://bucket/key")
    if (
        not isinstance(groups, list)
        or not groups
        or not all(each and isinstance(each, str) for each in groups)
    ):
        raise ValueError(f"{path}.groups: must be a list of names of groups, or of `signed-in`")
    return BucketRule(url=url, groups=frozenset(groups))


def _split(url: str) -> tuple[str, str]:
    """Return the URL of a bucket, and the key, which may be empty."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def _fits(text: str, pattern: str) -> bool:
    # Of the syntax of fnmatch `*` only: keys may have brackets and question marks.
    return fnmatchcase(text, "*".join(map(escape, pattern.split("*"))))
