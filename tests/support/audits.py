"""Audits and repairs, in the form in which tests compare them."""

from datetime import timedelta

from shared.maintenance.audit import Problem, Tally, audit
from shared.maintenance.repair import Repair, repaired
from shared.system import Dss

AT_ONCE = timedelta(0)


def audit_problems(
    dss: Dss, *, settled_after: timedelta = AT_ONCE, tally: Tally | None = None
) -> list[tuple[Problem, str, str]]:
    """Audit, and return the problem, replica and key of each finding, in order."""
    findings = audit(dss, list(dss.replicas), settled_after=settled_after, tally=tally or Tally())
    return sorted((one.kind, one.replica, one.key) for one in findings)


def audit_and_repair(dss: Dss) -> list[Repair]:
    """Audit with repair, and return the outcome of each finding."""
    return list(repaired(dss, audit(dss, list(dss.replicas), settled_after=AT_ONCE, tally=Tally())))


def unrepaired(dss: Dss) -> dict[tuple[str, str], str]:
    """Audit with repair, and return why each finding was left; fail if anything was repaired."""
    outcomes = audit_and_repair(dss)
    assert [outcome for outcome in outcomes if outcome.done] == []
    return {(outcome.finding.replica, outcome.finding.key): outcome.left for outcome in outcomes}
