"""`python -m local`: the same as `dss local`."""

from local.command import local

if __name__ == "__main__":
    local(prog_name="dss local")
