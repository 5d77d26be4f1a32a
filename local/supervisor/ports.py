"""Ports that are reserved for their components from before the start until after the end."""

import errno
import socket
from dataclasses import dataclass, field

from local.errors import PortInUse

HOST = "127.0.0.1"


def reserve(port: int = 0) -> socket.socket:
    """Return a socket that reserves `port` (0: a free one) of HOST until it is closed.

    The socket is bound and doesn't listen. On Linux a server that sets SO_REUSEADDR, as all of ours do, can
    bind to the same address meanwhile, while the kernel gives the port to nobody who asks for a free one. So
    the port is never lost between two owners. Raises PortInUse if a server listens there already.
    """
    reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reservation.bind((HOST, port))
    except OSError as error:
        reservation.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from error
        raise
    return reservation


@dataclass(frozen=True)
class Ports:
    """One port for each name, the same at every call, reserved until `release`."""

    reservations: dict[str, socket.socket] = field(default_factory=dict)

    def of(self, name: str, number: int = 0) -> int:
        """Return the port of `name`; the first call reserves `number`, 0 for a free one. Raises PortInUse."""
        if name not in self.reservations:
            self.reservations[name] = reserve(number)
        port: int = self.reservations[name].getsockname()[1]
        return port

    def release(self) -> None:
        """Give every port back."""
        for reservation in self.reservations.values():
            reservation.close()
        self.reservations.clear()
