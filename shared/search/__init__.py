"""Search: the indexed documents of bundles, queries over them, and the back ends that hold them."""
