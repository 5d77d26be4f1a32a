"""S3, SNS and STS: moto's own server, with one thing done once: `python -m run.local.s3 --host H --port P`.

For each request moto lists its package's directory, and looks at every entry, under one lock. Without that it
was measured to answer about half as many requests again, in 60 % of the CPU time. Else nothing is changed.
"""

import moto.backends
from moto import server


def main() -> None:
    """Serve until asked to stop; the arguments are those of `moto_server`."""
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    server.main()


if __name__ == "__main__":
    main()
