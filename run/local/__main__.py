"""`python -m run.local`: the same as `dss local`."""

from run.local.command import local

if __name__ == "__main__":
    local(prog_name="dss local")
