"""`python -m local.drill`: what `make drill` runs."""

from local.drill.command import main

if __name__ == "__main__":
    main(prog_name="python -m local.drill")
