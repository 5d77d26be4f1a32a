"""The operations of the pages."""

from flask import Response, request

from run.api.call import Call
from run.browse.lists import (
    MOST_LISTED,
    beside,
    catalogue_of,
    chips,
    form_of,
    listing,
    require_listed,
    values,
)
from run.browse.operations import HOME
from run.browse.rendering import page
from run.browse.state import SIZES, State
from run.browse.views import tabs_of
from run.explore.arguments import Arguments
from shared.errors import NotFound
from shared.explore.catalogues import Catalogue


def home(call: Call) -> Response:
    """Show the first list of the catalogue."""
    state = State.read(request.args)
    catalogue = catalogue_of(call, state.once.get("catalog"))
    if catalogue is None:
        raise _none()
    return _list(call, catalogue, tabs_of(catalogue)[0], state)


def list_entities(call: Call, *, entity_type: str) -> Response:
    """Show a page of entities, with facets."""
    state = State.read(request.args)
    return _list(call, _listed(call, entity_type, state), entity_type, state)


def list_values(call: Call, *, entity_type: str, field: str) -> Response:
    """Show all values of a facet, to be searched and chosen."""
    state = State.read(request.args, "find")
    find = Arguments({"find": request.args.get("find", "")}).text("find")
    catalogue = _listed(call, entity_type, state)
    facet = values(call, catalogue, entity_type, field, state.first_page(), find)
    return page(
        "values.html",
        facet=facet,
        entity_type=entity_type,
        catalogue=catalogue,
        find=find,
        kept=state.first_page().query(),
        here=f"{HOME}/{entity_type}/values/{field}",
        most=MOST_LISTED,
        title=f"Values of {field}",
    )


def _listed(call: Call, entity_type: str, state: State) -> Catalogue:
    catalogue = catalogue_of(call, state.once.get("catalog"))
    if catalogue is None:
        raise _none()
    require_listed(catalogue, entity_type)
    return catalogue


def _list(call: Call, catalogue: Catalogue, entity_type: str, state: State) -> Response:
    found = listing(call, catalogue, entity_type, state)
    return page(
        "list.html",
        **vars(found),
        **beside(catalogue, state),
        tabs=[(name, state.of_type().url(f"{HOME}/{name}")) for name in tabs_of(catalogue)],
        chips=chips(catalogue, entity_type, state),
        clear=state.unfiltered().url(f"{HOME}/{entity_type}"),
        hidden=form_of(state),
        here=f"{HOME}/{entity_type}",
        columns=[each.field.name for each in found.heads],
        fields=list(catalogue.fields.values()),
        sizes=[
            (size, state.first_page().with_once(size=str(size)).url(f"{HOME}/{entity_type}"))
            for size in SIZES
        ],
        size=state.size,
        catalogues=[
            (each.name, State().with_once(catalog=each.name).url(HOME))
            for each in call.dss.catalogues.catalogues().values()
        ],
        title=f"{entity_type.capitalize()} of {catalogue.name}",
    )


def _none() -> NotFound:
    return NotFound("This deployment has no catalogue; its operator lists catalogues in DSS_CATALOGUES.")
