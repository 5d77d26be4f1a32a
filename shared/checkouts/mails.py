"""Mails that say how a checkout ended: where the data are, or why there are none.

At least once: each address is struck off when the mail server has its mail. A kill in between sends it twice,
with one Message-ID.
"""

import hashlib
from datetime import timedelta

import structlog

from shared.catalog import CheckoutJob, JobState
from shared.errors import MailRefused, Unavailable
from shared.mail import send_mail
from shared.system import Dss

_log = structlog.get_logger()
# After this nobody is waiting for a mail any more.
_GIVEN_UP_AFTER = timedelta(days=1)


def send_result_mails(dss: Dss, job: CheckoutJob) -> int:
    """Tell those who asked for it how a job ended, and return how many were told now.

    An address that is refused, or has had all the mails of its day, is struck off, too. Raises Unavailable
    where the mail server is.
    """
    told = 0
    for email in job.emails if job.state is not JobState.RUNNING else ():
        try:
            told += _send(dss, job, email)
        except MailRefused as error:
            _log.warning("nobody was told", job=job.id, reason=error.title)
        dss.catalog.checkouts.mark_notified(job, email)
    return told


def _send(dss: Dss, job: CheckoutJob, email: str) -> int:
    message_id, at_most = _message_id(job, email), dss.settings.mails_a_day
    # Nobody has to sign in to have a checkout made, nor has the address to be the caller's own.
    if not dss.catalog.mails.may_be_sent(email, message_id, at_most=at_most):
        raise MailRefused(f"the address has had {at_most} mails today")
    send_mail(dss.settings, email, *_written(dss, job), message_id=message_id)
    dss.faults.reach("checkout: mail sent")
    return 1


def send_due_mails(dss: Dss) -> int:
    """Send the mails that are due and were not sent, and return how many; for the sweep.

    What cannot be sent for a day is given up.
    """
    told = 0
    for job in dss.catalog.checkouts.with_mail_due():
        try:
            told += send_result_mails(dss, job)
        except Unavailable as error:
            if job.touched < dss.clock.now() - _GIVEN_UP_AFTER:
                _log.error("mails were given up", job=job.id, mails=len(job.emails), reason=error.title)
                for email in job.emails:
                    dss.catalog.checkouts.mark_notified(job, email)
    return told


def _written(dss: Dss, job: CheckoutJob) -> tuple[str, str]:
    """Return subject and text."""
    what = f"{job.order.kind[:-1]} {job.order.fqid}"
    if job.state is JobState.FAILED:
        return f"Checkout failed: {what}", f"The checkout of {what} failed:\n\n{job.cause}\n\nJob {job.id}\n"
    kept = ""
    if job.order.bucket == dss.replicas.named(job.order.replica).checkout_bucket:
        kept = f"The copies are kept for {dss.settings.checkout_days} days after their last use.\n\n"
    text = f"{job.files} files, {job.bytes} bytes, are at\n\n{job.location}\n\n{kept}Job {job.id}\n"
    return f"Checked out: {what}", text


def _message_id(job: CheckoutJob, email: str) -> str:
    return f"{job.id}.{job.attempt}.{hashlib.sha256(email.encode()).hexdigest()[:16]}"
