"""`make drill`: disasters on this machine, and what ends them. docs/disaster.md describes them."""
