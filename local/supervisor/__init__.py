"""Child processes that never outlive their parent, and ports that are reserved for them."""
