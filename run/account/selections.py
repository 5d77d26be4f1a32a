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
from shared.explore.query import FoundPage, Query
from shared.identifiers import Fqid

# What one change of a collection may add, as the contract says.
MOST_BUNDLES = 1000
# Entities that are read at once.
_PAGE = 100


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

    def count(self, call: Call, entity_type: str) -> int:
        """Return how many entities of a type the caller finds in it."""
        found, _ = call.dss.catalogues.counts(self.catalogue, sought(call), self.query(entity_type))
        return found

    def bundles(self, call: Call) -> list[Fqid]:
        """Return all bundle versions in it. Raises IllegalArguments if there are more than MOST_BUNDLES."""
        found: list[Fqid] = []
        after = ""
        while True:
            page = self._page(call, after)
            for each in page.found:
                [version] = self.catalogue.fields["bundleVersion"].values(each.document)
                found.append(Fqid(each.entity_id, str(version)))
            if len(found) > MOST_BUNDLES or (page.has_next and len(found) >= MOST_BUNDLES):
                raise IllegalArguments(
                    f"these are more than {MOST_BUNDLES:,} bundles, the most that can be added at once; choose"
                    " more filters"
                )
            if not page.has_next:
                return found
            after = json.dumps(list(page.found[-1].position))

    def _page(self, call: Call, after: str) -> FoundPage:
        listed = self.catalogue.listed["bundles"]
        place = {"search_after": after} if after else {}
        size = str(min(_PAGE, listed.max_size))
        order = Arguments({"size": size, **place}).order(self.catalogue, listed)
        return call.dss.catalogues.page(self.catalogue, sought(call), self.query("bundles"), order)
