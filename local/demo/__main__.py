"""`python -m local.demo`: what `make demo` runs."""

from local.demo.command import main

if __name__ == "__main__":
    main(prog_name="python -m local.demo")
