"""What values of settings about logs and traces must be like."""

from shared.issuer_settings import is_secure


def check_observation(traces: str, trace_percent: int, debug: int) -> None:
    """Raise ValueError, which names it, if a setting of where and how many spans go, or of logs, is wrong."""
    if traces not in ("none", "cloud") and not is_secure(traces):
        raise ValueError("DSS_TRACES must be `none`, `cloud`, or a URL of https, or of http on this machine")
    if trace_percent > 100:
        raise ValueError("DSS_TRACE_PERCENT must be between 0 and 100")
    if debug > 2:
        raise ValueError("DSS_DEBUG must be 0, 1 or 2")
