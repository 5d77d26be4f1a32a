"""Choose an implementation by its name: one of this package, or an entry point of another distribution."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points


def chosen(group: str, own: Mapping[str, str], name: str, what: str) -> EntryPoint:
    """Return what has a name: one of this package's `own`, or else an installed entry point of the group.

    `own` are in the syntax of entry points, so that only the one in use is imported. They are none of this
    package, since a look at all distributions takes a while. Raises ValueError, with the known names, if
    there is none; its text begins with `what`: "there is no back end".
    """
    if name in own:
        return EntryPoint(name, own[name], group)
    installed = entry_points(group=group)
    if name in installed.names:
        return installed[name]
    known = ", ".join(sorted({*own, *installed.names}))
    raise ValueError(f"{what} {name!r}; use one of {known}")
