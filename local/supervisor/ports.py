"""Ports that are kept for their components from before the start until after the end."""

import errno
import socket
from dataclasses import dataclass, field

from local.errors import PortInUse

HOST = "127.0.0.1"


def reserve(port: int = 0) -> socket.socket:
    """Return a socket that keeps `port` (0: a free one) of HOST until it is closed.

    The socket is bound, and doesn't listen. On Linux a server that sets SO_REUSEADDR, as all of ours do, may
    bind to the same address meanwhile, while the kernel gives the port to nobody who asks for a free one. So
    there is no moment at which the port could be lost. Raises PortInUse where somebody listens already.
    """
    keeper = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        keeper.bind((HOST, port))
    except OSError as error:
        keeper.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from error
        raise
    return keeper


@dataclass(frozen=True)
class Ports:
    """One port for each name, the same at every call, kept until `release`."""

    keepers: dict[str, socket.socket] = field(default_factory=dict)

    def of(self, name: str, wanted: int = 0) -> int:
        """Return the port of `name`: at the first call `wanted`, or a free one for 0. Raises PortInUse."""
        if name not in self.keepers:
            self.keepers[name] = reserve(wanted)
        port: int = self.keepers[name].getsockname()[1]
        return port

    def release(self) -> None:
        """Give every port back."""
        for keeper in self.keepers.values():
            keeper.close()
        self.keepers.clear()
