"""What help texts have in common: examples, and the table of exit codes."""

from collections.abc import Mapping

EXAMPLES = "Examples:"


def examples(*lines: str, codes: Mapping[int, str] | None = None) -> str:
    """Return the end of a help text: examples, and what exit codes mean if that is special.

    Each line is a command that works as it stands, perhaps with a comment after `#`.
    """
    # click leaves the lines of a paragraph as they are if it begins with this.
    blocks = ["\n".join(["\b", EXAMPLES, *(f"  {line}" for line in lines)])]
    if codes:
        blocks.append(exit_code_table(codes))
    return "\n\n".join(blocks)


def exit_code_table(codes: Mapping[int, str]) -> str:
    """Return a paragraph of a help text that lists exit codes."""
    return "\n".join(["\b", "Exit codes:", *(f"  {code:>3}  {meaning}" for code, meaning in codes.items())])
