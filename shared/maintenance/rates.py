"""How fast replicas gain: measured by counting what is available on each, twice."""

from collections.abc import Mapping

from shared.system import Dss


def gained_per_minute(dss: Dss, *, seconds: float) -> Mapping[str, float]:
    """Return how much became available on each replica, per minute, within so many seconds.

    Files, bundles and collections; written there or replicated alike. Costs two reads for each thousand that
    are available on a replica.
    """
    began = dss.clock.now()
    before = {name: dss.catalog.scan.count(name) for name in dss.replicas.names}
    dss.clock.sleep(seconds)
    after = {name: dss.catalog.scan.count(name) for name in dss.replicas.names}
    minutes = (dss.clock.now() - began).total_seconds() / 60
    return {name: round((after[name] - before[name]) / minutes, 1) for name in before}
