"""Search and the catalogue hold what the catalog says, and no more."""

import requests

from shared.maintenance.catalogue_check import CatalogueTally, check_catalogue
from shared.maintenance.index_check import IndexTally
from shared.maintenance.index_check import check as check_index
from tests.chaos.checks.replicas import perhaps, visible
from tests.chaos.clients.reading import run_query
from tests.chaos.clients.world import World
from tests.support.clouds import REPLICAS


def search(world: World) -> list[str]:
    """Return the bundles that search does not find, or finds although they are hidden, as clients see it."""
    found = []
    for replica in REPLICAS:
        hits = _all_hits(world, replica)
        if isinstance(hits, str):
            return [f"search on {replica}: {hits}"]
        found += [f"{name} is not found on {replica}" for name in sorted(visible(world) - hits)]
        hidden = {*world.written} - visible(world) - perhaps(world) | {*world.purged}
        found += [f"{name} is found on {replica}, and hidden" for name in sorted(hits & hidden)]
    return found


def _all_hits(world: World, replica: str) -> set[str] | str:
    api, hits = world.api(), set[str]()
    answer = api.post("/v1/search", json=run_query(world.run), replica=replica, per_page=500)
    while answer.status_code == 206:
        hits |= _hits(answer)
        answer = api.post(answer.links["next"]["url"], json=run_query(world.run))
    return hits | _hits(answer) if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"


def _hits(answer: requests.Response) -> set[str]:
    return {hit["bundle_fqid"] for hit in answer.json()["results"]}


def entries(world: World) -> list[str]:
    """Return the entries of search that differ from those that documents and heads would make now."""
    replicas = list(world.dss.replicas)
    checked = check_index(world.dss, replicas, documents=True, tally=IndexTally())
    return [f"{one.fqid} on {one.replica}: {one.kind}: {one.why}" for one in checked]


def catalogue(world: World) -> list[str]:
    """Return the bundle versions of which a catalogue holds what is wrong, its documents included."""
    found = []
    for each in world.dss.catalogues.catalogues().values():
        tally = CatalogueTally()
        checked = check_catalogue(world.dss, each, documents=True, tally=tally)
        found += [f"{one.fqid} in {one.catalogue}: {one.kind}: {one.why}" for one in checked]
        found += [f"{each.name}: {tally.unsettled} are not settled"] if tally.unsettled else []
    return found
