"""Rates of replication: count what is available on each replica, twice."""

from collections.abc import Mapping

from shared.system import Dss


def gained_per_minute(dss: Dss, *, seconds: float) -> Mapping[str, float]:
    """Return how many versions became available on each replica per minute, measured over so many seconds.

    Counts files, bundles and collections, both written there and replicated. Costs two reads for each
    thousand that are available on a replica.
    """
    began = dss.clock.now()
    before = {name: dss.catalog.scan.count(name) for name in dss.replicas.names}
    dss.clock.sleep(seconds)
    after = {name: dss.catalog.scan.count(name) for name in dss.replicas.names}
    minutes = (dss.clock.now() - began).total_seconds() / 60
    return {name: round((after[name] - before[name]) / minutes, 1) for name in before}
