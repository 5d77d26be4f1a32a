"""The clients at work. To add one, write what it does once, and its row here."""

import random
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tests.chaos.clients import operating, reading, writing
from tests.chaos.clients.world import World
from tests.support.api import Api

Work = Callable[[World, Api, random.Random], None]
# Seconds that a client pauses between two rounds, about: the machine also runs the system.
_PAUSE = 0.15


@dataclass(frozen=True)
class Client:
    """What a client does, again and again; `light` if it is part of a soak, too."""

    about: str
    work: Work
    token: str = "DSS_TOKEN"
    light: bool = False


CLIENTS = (
    Client("PUTs files and their bundle, through gcp", partial(writing.write, "gcp"), light=True),
    Client("PUTs files and their bundle, through aws", partial(writing.write, "aws"), light=True),
    Client("PUTs files and their bundle, through gcp", partial(writing.write, "gcp")),
    Client("PUTs files and their bundle, through aws", partial(writing.write, "aws")),
    Client("PUTs bundles, and does not ask again if that is not answered", writing.abandon),
    Client("PUTs a version that a rival writes, too", partial(writing.rival, 0)),
    Client("PUTs a version that a rival writes, too", partial(writing.rival, 1)),
    Client("PATCHes bundles with If-Match, and reads the newest version", writing.patch),
    Client("PATCHes the same bundles", writing.patch),
    Client("PUTs versions of collections, and GETs the newest", writing.collect),
    Client("deletes versions", writing.delete, "DSS_ADMIN_TOKEN", light=True),
    Client("GETs versions of both replicas, mostly the newest", reading.read, light=True),
    Client("GETs versions of both replicas, mostly the newest", reading.read),
    Client("checks out", reading.check_out),
    Client("searches, lists, asks the catalogue for pages", reading.look_up, light=True),
    Client("follows the journals", reading.follow, "DSS_ADMIN_TOKEN", light=True),
    Client("changes who may read, and looks whether it holds", operating.change_access),
    Client("purges bundles", operating.purge),
    Client("imports folders", operating.import_folder),
)


def clients(seed: int, world: World, *, light: bool = False, pause: float = _PAUSE) -> list[threading.Thread]:
    """Return the threads of all clients, not started yet."""
    chosen: Mapping[int, Client] = {
        number: each for number, each in enumerate(CLIENTS) if each.light or not light
    }
    return [
        threading.Thread(
            target=_repeat,
            args=(world, random.Random(seed * 1000 + number), each, pause),
            name=each.about,
            daemon=True,
        )
        for number, each in chosen.items()
    ]


def _repeat(world: World, chance: random.Random, client: Client, pause: float) -> None:
    api = world.api(client.token)
    while not world.stop.wait(chance.uniform(0, 2 * pause)):
        try:
            client.work(world, api, chance)
        except Exception:  # noqa: BLE001 # the others go on, and the run fails
            world.complain("a client fails", f"{client.about}: {traceback.format_exc()}")
            return
