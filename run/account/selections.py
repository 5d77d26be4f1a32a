"""What a list of a catalogue shows, as what is taken of it: files in a manifest, bundles in a collection."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from flask import request

from run.api.call import Call
from run.browse.lists import Chip, catalogue_of, chips
from run.browse.operations import HOME
from run.browse.state import State
from run.explore.access import sought
from run.explore.arguments import Arguments
from shared.errors import IllegalArguments, NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.query import Query
from shared.identifiers import Fqid

# What one change of a collection may add, as the contract says.
MOST_BUNDLES = 1000
# Bundles that are read at once, and those that cost a unit of a request budget together.
_PAGE = 100
_BUNDLES_A_UNIT = 5


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The filters and words of a list, and the catalogue that they are for."""

    catalogue: Catalogue
    state: State

    @classmethod
    def read(cls, call: Call) -> "Selection":
        """Return the selection in the query of the current request. Raises IllegalArguments and NotFound."""
        state = State.read(request.args).of_type()
        catalogue = catalogue_of(call, state.once.get("catalog"))
        if catalogue is None:
            raise NotFound(
                "This deployment has no catalogue; its operator lists catalogues in DSS_CATALOGUES."
            )
        return cls(catalogue=catalogue, state=state.with_once(size="", catalog=catalogue.name))

    @property
    def arguments(self) -> Mapping[str, str]:
        """The selection as parameters of the catalogue's service. Raises IllegalArguments."""
        given = self.state.arguments(self.catalogue, []).given
        return {
            "catalog": self.catalogue.name,
            **{name: given[name] for name in ("q", "filters") if name in given},
        }

    @property
    def chips(self) -> list[Chip]:
        """The filters that are chosen."""
        return chips(self.catalogue, "files", self.state)

    def url(self, path: str) -> str:
        """Return the address of a page for this selection."""
        return self.state.url(f"{HOME}{path}")

    def query(self, entity_type: str) -> Query:
        """Return the question which entities of a type are in it. Raises IllegalArguments."""
        return Arguments({**self.arguments, "facets": ""}).query(self.catalogue, entity_type)


def count_of(call: Call, selection: Selection, entity_type: str) -> int:
    """Return how many entities of a type the caller finds in a selection. Raises IllegalArguments."""
    query = selection.query(entity_type)
    found, _ = call.dss.catalogues.counts(selection.catalogue, sought(call), query)
    return found


def bundles_of(call: Call, selection: Selection) -> list[Fqid]:
    """Return all bundle versions of a selection that the caller finds.

    Raises IllegalArguments if there are more than MOST_BUNDLES, before it reads them.
    """
    number = count_of(call, selection, "bundles")
    if number > MOST_BUNDLES:
        raise IllegalArguments(
            f"these are {number:,} bundles; {MOST_BUNDLES:,} at most can be added: choose more filters"
        )
    # It costs as much as the lists that it reads.
    call.charge(number // _BUNDLES_A_UNIT)
    known, listed = selection.catalogue.fields["bundleVersion"], selection.catalogue.listed["bundles"]
    found: list[Fqid] = []
    place: dict[str, str] = {}
    # Others may come while it reads.
    while len(found) < MOST_BUNDLES:
        size = str(min(_PAGE, listed.max_size))
        order = Arguments({"size": size, **place}).order(selection.catalogue, listed)
        page = call.dss.catalogues.page(selection.catalogue, sought(call), selection.query("bundles"), order)
        for each in page.found:
            [version] = known.values(each.document)
            found.append(Fqid(each.entity_id, str(version)))
        if not page.has_next:
            break
        place = {"search_after": json.dumps(list(page.found[-1].position))}
    return found[:MOST_BUNDLES]
