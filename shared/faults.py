"""Fault points: a test can kill the process at each of them, to prove that half-done writes stay invisible.

Every point is a row of FAULT_POINTS; `DSS_FAULT_POINT` arms one of them. Deployments never set it: see
`shared.config`.
"""

import os
import signal

FAULT_POINTS = (
    "file: before the content is read",
    "file: content verified",
    "file: blob copied",
    "file: head created",
    "file: manifest written",
    "file: available",
    "files: before the blobs are written",
    "files: a blob written",
    "files: blobs written",
    "files: heads created",
    "files: a manifest written",
    "files: manifests written",
    "files: available",
    "bundle: before the head is created",
    "bundle: head created",
    "bundle: all pages created",
    "bundle: manifest written",
    "bundle: available",
    "tombstone: created",
    "tombstone: written",
    "tombstone: hidden",
    "collection: before the head is created",
    "collection: head created",
    "collection: all pages created",
    "collection: manifest written",
    "collection: available",
    "collection tombstone: created",
    "collection tombstone: written",
    "collection tombstone: hidden",
    "copy: source hashed",
    "copy: blob proved",
    "copy: relays finished",
    "checkout: page copied",
    "checkout: mail sent",
    "manifest: made",
    "manifest: pieces written",
    "manifest: joined",
    "import: slice written",
    "import: object read",
    "import: part hashed",
    "import: object copied",
    "import: batch done",
    "access: before it is claimed",
    "access: claimed",
    "access: object written",
    "access: in effect",
    "access: heads bound",
    "access: available",
    "group: before it is claimed",
    "group: claimed",
    "group: object written",
    "group: in effect",
    "group: available",
    "purge: claimed",
    "purge: object written",
    "purge: withheld",
    "purge: available",
    "purge: scrubbed",
    "purge: blob found free",
    "purge: blobs removed",
    "purge: documents removed",
    "purge: manifests removed",
    "purge: heads removed",
    "replication: binding written",
    "replication: purge written",
    "replication: group written",
    "replication: before a blob is copied",
    "replication: blob copied",
    "replication: file manifest written",
    "replication: bundle checked",
    "replication: bundle manifest written",
    "replication: tombstone written",
    "replication: collection checked",
    "replication: collection manifest written",
    "replication: collection tombstone written",
    "index: document kept",
    "index: journalled",
    "index: indexed",
    "index: published",
    "index: time kept",
    "compact: claimed",
    "compact: journal written",
    "compact: journal added",
    "administration: slice done",
    "administration: part written",
    "notify: a delivery published",
    "delivery: answered",
    "delivery: put off",
    "replay: a delivery published",
    "replay: next page published",
)


class FaultPoints:
    """Kills this process with SIGKILL at the armed point, if there is one."""

    def __init__(self, armed: str | None) -> None:
        if armed and armed not in FAULT_POINTS:
            raise ValueError(f"DSS_FAULT_POINT: {armed!r} is not one of {', '.join(FAULT_POINTS)}")
        self._armed = armed

    def reach(self, point: str) -> None:
        """Mark that the process has reached `point`, one of FAULT_POINTS; kill it if that point is armed."""
        if point == self._armed:
            os.kill(os.getpid(), signal.SIGKILL)
