"""What nobody may see is seen nowhere."""

from functools import partial

from tests.chaos.clients.world import World
from tests.support.clouds import REPLICAS


def purged(world: World) -> list[str]:
    """Return what was purged, and is answered otherwise than with 410."""
    api = world.api()
    found = []
    for name, bundle in list(world.purged.items()):
        for replica in REPLICAS:
            query = {"replica": replica, "version": bundle.version}
            answer = world.ask(partial(api.get, f"/v1/bundles/{bundle.uuid}", **query))
            if answer is None or answer.status_code != 410:
                found.append(
                    f"{name} on {replica}: {answer.status_code if answer is not None else 'no answer'}"
                )
    return found
