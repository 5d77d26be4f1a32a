"""Mails about checkouts that have ended: the location of the copies, or the cause of the failure.

Sent at least once: an address is marked as notified when the mail server has its mail. A kill in between
sends the mail twice, with the same Message-ID.
"""

import hashlib
from datetime import timedelta

import structlog

from shared.catalog import CheckoutJob, JobState
from shared.errors import MailRefused, Unavailable
from shared.mail import send_mail
from shared.system import Dss

_log = structlog.get_logger()
# After this, mails that could not be sent are dropped.
_GIVEN_UP_AFTER = timedelta(days=1)


def send_result_mails(dss: Dss, job: CheckoutJob) -> int:
    """Send the mails about a job that has ended, and return the number that were sent now.

    Also marks an address as notified if the server refuses it, or if it has had all the mails of its day.
    Raises Unavailable if the mail server is.
    """
    sent = 0
    for email in job.emails if job.state is not JobState.RUNNING else ():
        try:
            sent += _send(dss, job, email)
        except MailRefused as error:
            _log.warning("mail not sent", job=job.id, reason=error.title)
        dss.catalog.checkouts.mark_notified(job, email)
    return sent


def _send(dss: Dss, job: CheckoutJob, email: str) -> int:
    message_id, at_most = _message_id(job, email), dss.settings.mails_a_day
    # Callers need not sign in to order a checkout, nor need the address be their own.
    if not dss.catalog.mails.may_be_sent(email, message_id, at_most=at_most):
        raise MailRefused(f"the address has had {at_most} mails today")
    send_mail(dss.settings, email, *_written(dss, job), message_id=message_id)
    dss.faults.reach("checkout: mail sent")
    return 1


def send_due_mails(dss: Dss) -> int:
    """Send the mails that are due, and return their number. For the sweep.

    Drops mails that could not be sent for a day.
    """
    sent = 0
    for job in dss.catalog.checkouts.with_mail_due():
        try:
            sent += send_result_mails(dss, job)
        except Unavailable as error:
            if job.touched < dss.clock.now() - _GIVEN_UP_AFTER:
                _log.error("mails dropped", job=job.id, mails=len(job.emails), reason=error.title)
                for email in job.emails:
                    dss.catalog.checkouts.mark_notified(job, email)
    return sent


def _written(dss: Dss, job: CheckoutJob) -> tuple[str, str]:
    """Return subject and text."""
    name = f"{job.order.kind[:-1]} {job.order.fqid}"
    if job.state is JobState.FAILED:
        return f"Checkout failed: {name}", f"The checkout of {name} failed:\n\n{job.cause}\n\nJob {job.id}\n"
    expiry = ""
    if job.order.bucket == dss.replicas.named(job.order.replica).checkout_bucket:
        expiry = f"The copies are kept for {dss.settings.checkout_days} days after their last use.\n\n"
    text = f"{job.files} files, {job.bytes} bytes, are at\n\n{job.location}\n\n{expiry}Job {job.id}\n"
    return f"Checked out: {name}", text


def _message_id(job: CheckoutJob, email: str) -> str:
    return f"{job.id}.{job.attempt}.{hashlib.sha256(email.encode()).hexdigest()[:16]}"
