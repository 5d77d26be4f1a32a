"""The pattern of file names in the contract says what the service takes, but for lengths in bytes."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from run.api.contract import Contract
from shared.errors import IllegalArguments
from shared.identifiers import check_file_name

NAME = Contract.load().document["definitions"]["BundleFile"]["properties"]["name"]
PATTERN = re.compile(NAME["pattern"])
# The pattern of the predecessor, whose bundles are to be taken as they are.
PREDECESSOR = re.compile(
    r"(?=^((?!\.\/).)*$)(?=^((?!\\).)*$)(?=^((?!\/\.).)*$)"
    r"(?=^(?!\/).*$)(?=^(?!~\/).*$)(?=^(?!\.\.$).*)(?=^(?!\.$).*)"
)

steps = st.one_of(
    st.sampled_from(
        ["", ".", "..", "...", ".a", "a.", "~", "\\", "a\n", "\x7f", "x" * 255, "x" * 256, "é" * 128]
    ),
    st.text(alphabet="a.~/é\u2028\U0001f600", max_size=4),
)
names = st.one_of(st.lists(steps, max_size=6).map("/".join), st.text(max_size=20))


def is_taken(name: str) -> bool:
    try:
        return check_file_name(name) == name
    except IllegalArguments:
        return False


def fits(name: str) -> bool:
    """Return whether a name can be encoded, and is short enough in bytes."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= 900 and all(len(step) <= 255 for step in encoded.split(b"/"))


@given(names)
@example("")
@example("a\n")
@example("a/")
@example("a//b")
@example("x/" * 450)
@example("x" * 901)
@example("\ud800")
def test_the_pattern_and_the_service_agree(name: str) -> None:
    matches = bool(PATTERN.search(name)) and len(name) <= NAME["maxLength"]
    assert is_taken(name) == (matches and fits(name))


@given(names)
@example("path.json2/")
@example("a//b")
def test_what_the_predecessor_took_is_taken_if_a_store_can_hold_it(name: str) -> None:
    holdable = fits(name) and name != "" and not re.search(r"[\x00-\x1f\x7f]", name)
    if PREDECESSOR.search(name) and holdable:
        assert is_taken(name)
