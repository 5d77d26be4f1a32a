"""A machine that makes faults: `python -m tests.chaos`, or `make chaos` (docs/chaos.md)."""
