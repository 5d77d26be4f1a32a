"""Events of bundle versions and tombstones: documents, the journal, and the outbox that publishes them."""
