"""Who may do what with what: one decision, and what it rests on.

`Policy.decide` is the decision. Every route, function and command asks it, and nothing else decides.
"""

from shared.access.buckets import BucketPolicy, Proof
from shared.access.labels import labels_of, labels_sought
from shared.access.policy import Action, Decision, Policy, Resource, Verdict
from shared.access.principals import STRANGER, Principal
from shared.access.readers import DEFAULT, NOBODY, PUBLIC, SIGNED_IN, check_group, narrowed

__all__ = [
    "DEFAULT",
    "NOBODY",
    "PUBLIC",
    "SIGNED_IN",
    "STRANGER",
    "Action",
    "BucketPolicy",
    "Decision",
    "Policy",
    "Principal",
    "Proof",
    "Resource",
    "Verdict",
    "check_group",
    "labels_of",
    "labels_sought",
    "narrowed",
]
