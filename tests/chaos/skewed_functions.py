"""The functions, each of whose processes has a clock of its own: as `python -m local.servers.functions`."""

from local.servers.functions import main
from tests.chaos.clocks import install

if __name__ == "__main__":
    install()
    main()
