"""Events: `/events/{uuid}`, the metadata document of a bundle version, and `/events`, the journals."""

from flask import Response

from run.api.call import Call
from shared.documents import document_of
from shared.errors import NotFound
from shared.identifiers import Fqid


def get(call: Call, *, uuid: str, version: str, replica: str) -> Response:
    """Answer the document of a bundle version; of one that is hidden, that of its tombstone."""
    fqid = Fqid(uuid, version)
    head = call.dss.catalog.bundles.head(fqid)
    if head is None or not head.was_visible(replica):
        state = "pending" if head and head.available and not head.hidden else "absent"
        raise NotFound(f"replica {replica} has no bundle {fqid}", replica_state=state)
    document = document_of(call.dss, call.dss.replicas.named(replica), head)
    return Response(document, mimetype="application/json")
