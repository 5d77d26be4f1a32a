"""Calls about the catalogue, whose routes are at the root of the host, as those of Azul."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dss.api.session import Session, params_of_next
from dss.api.transport import Call
from dss.errors import CallFailed, NoCatalogue, NotFound
from dss.suggestions import suggestion

# Hits of a page of a DSS that does not say how many it gives.
_PAGE = 100
Params = Mapping[str, str]


@dataclass(frozen=True)
class Catalogue:
    """A catalogue of a DSS: its `name`, its `plugin`, and the `entity_types` that can be listed in it.

    `page_sizes` are how many hits a page has at most, by type; types of older DSSs are not in it.
    """

    name: str
    plugin: str
    entity_types: tuple[str, ...]
    is_default: bool
    page_sizes: Mapping[str, int] = field(default_factory=dict, hash=False)

    def page_size(self, entity_type: str) -> int:
        """Return how many hits of a type to ask for at once."""
        return self.page_sizes.get(entity_type, _PAGE)

    def check_type(self, entity_type: str) -> str:
        """Return a type of entities. Raises NoCatalogue, with the known ones, if this has none of that
        name."""
        if entity_type in self.entity_types:
            return entity_type
        known = ", ".join(self.entity_types)
        raise NoCatalogue(
            f"catalogue {self.name!r} has no {entity_type!r}; it has {known}"
            f"{suggestion(entity_type, self.entity_types)}"
        )


def catalogues(session: Session) -> list[Catalogue]:
    """Return the catalogues of a DSS, the default one first. Raises NoCatalogue if there are none."""
    try:
        answer = session.answer_json(Call(method="GET", url=_url(session, "catalogs")), has="catalogs")
    except NotFound:
        # A release without catalogues.
        answer = {"catalogs": {}}
    found = [_catalogue(name, about, answer) for name, about in answer["catalogs"].items()]
    if not found:
        raise NoCatalogue(
            f"the DSS at {session.root} has no catalogue; `dss search` finds bundles by a query"
        )
    return sorted(found, key=lambda each: not each.is_default)


def catalogue(session: Session, name: str | None) -> Catalogue:
    """Return a catalogue by its name, or the default one. Raises NoCatalogue, with the known ones."""
    known = catalogues(session)
    for each in known:
        if name in (None, each.name):
            return each
    names = [each.name for each in known]
    raise NoCatalogue(
        f"there is no catalogue {name!r}; there is {', '.join(names)}{suggestion(str(name), names)}"
    )


def page(session: Session, entity_type: str, params: Params) -> Any:
    """Return a page of hits. The parameters are in the body: filters may be too long for a URL."""
    call = Call(method="POST", url=_url(session, entity_type), body=dict(params))
    return session.answer_json(call, has="hits")


def following(session: Session, entity_type: str, params: Params, current: Any) -> Params | None:
    """Return the parameters of the page behind one, None if it is the last. Raises CallFailed."""
    url = current["pagination"].get("next")
    if not url:
        return None
    # Of long filters the URL has none.
    found = params_of_next(params, url)
    if found == params:
        raise CallFailed(
            method="POST",
            url=_url(session, entity_type),
            status=200,
            code="same_page",
            title="its next page is the same page",
        )
    return found


def summary(session: Session, params: Params) -> Any:
    """Return the summary of what matches; as of `page`, the parameters are in the body."""
    return session.answer_json(Call(method="POST", url=_url(session, "summary"), body=dict(params)))


def params_of(
    catalogue_name: str, filters: Mapping[str, Any], words: str | None, **others: str | None
) -> dict[str, str]:
    """Return the parameters of a question; those that are None are left out."""
    given = {
        "catalog": catalogue_name,
        "filters": json.dumps(filters) if filters else None,
        "q": words,
        **others,
    }
    return {name: value for name, value in given.items() if value is not None}


def _url(session: Session, path: str) -> str:
    return f"{session.root}/index/{path}"


def _catalogue(name: str, about: Mapping[str, Any], answer: Mapping[str, Any]) -> Catalogue:
    metadata = about["plugins"]["metadata"]
    indices = metadata["indices"]
    return Catalogue(
        name,
        metadata["name"],
        tuple(indices),
        name == answer.get("default_catalog"),
        {each: index["max_size"] for each, index in indices.items() if "max_size" in index},
    )
