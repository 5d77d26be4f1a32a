"""As whom a caller asks a catalogue."""

from run.api.call import Call
from shared.access import labels_sought
from shared.explore.query import Sought


def sought(call: Call) -> Sought:
    """Return the labels that the caller looks up; None for an admin."""
    readers = call.dss.policy.counts_as(call.reader)
    return None if readers is None else labels_sought(readers)
