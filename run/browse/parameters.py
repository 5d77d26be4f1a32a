"""The parameters of pages other than lists."""

from collections.abc import Iterable

from shared.errors import IllegalArguments


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise IllegalArguments, which names them, if there are parameters that a page does not have."""
    unknown = sorted({*given} - {*known})
    if unknown:
        names = ", ".join(name[:60] for name in unknown[:5])
        raise IllegalArguments(f"{names}: this page has no such parameter; it has {', '.join(sorted(known))}")
