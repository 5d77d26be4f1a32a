"""An audit and its repairs, as tests look at them."""

from datetime import timedelta

from shared.maintenance.audit import Problem, Tally, audit
from shared.maintenance.repair import Repair, repaired
from shared.system import Dss

AT_ONCE = timedelta(0)


def audit_problems(
    dss: Dss, *, settled_after: timedelta = AT_ONCE, tally: Tally | None = None
) -> list[tuple[Problem, str, str]]:
    """Return what an audit finds: kinds, replicas and keys, in order."""
    findings = audit(dss, list(dss.replicas), settled_after=settled_after, tally=tally or Tally())
    return sorted((one.kind, one.replica, one.key) for one in findings)


def audit_and_repair(dss: Dss) -> list[Repair]:
    """Audit with repair, and return what became of the findings."""
    return list(repaired(dss, audit(dss, list(dss.replicas), settled_after=AT_ONCE, tally=Tally())))


def unrepaired(dss: Dss) -> dict[tuple[str, str], str]:
    """Audit with repair, and return why things were left; fail where anything was done."""
    outcomes = audit_and_repair(dss)
    assert [outcome for outcome in outcomes if outcome.done] == []
    return {(outcome.finding.replica, outcome.finding.key): outcome.left for outcome in outcomes}
