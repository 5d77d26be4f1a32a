"""Admission: a request is routed and signed in before its body is received."""

from dataclasses import dataclass

from shared.access import Principal

# The key of a request's admission in its WSGI environment; missing if the server receives the body itself.
ADMISSION = "dss.admission"


@dataclass
class Admission:
    """The state of a request that is answered in two steps: with `body_received` false, then true.

    In the first step the application answers, or sets `waits_for_body` and remembers the caller.
    """

    body_received: bool = False
    waits_for_body: bool = False
    caller: Principal | None = None
