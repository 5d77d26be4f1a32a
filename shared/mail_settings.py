"""What values of settings about mail must be like."""


def check_mail(host: str, sender: str, tls: str, mails_a_day: int) -> None:
    """Raise ValueError, which names the setting, if the system could not send mail with these values."""
    if host and not sender:
        raise ValueError("DSS_SMTP_SENDER is not set, but DSS_SMTP_HOST is: set both")
    if tls not in ("starttls", "tls", "none"):
        raise ValueError("DSS_SMTP_TLS must be starttls, tls or none")
    # One document of Firestore lists them.
    if not 0 < mails_a_day <= 1000:
        raise ValueError("DSS_MAILS_A_DAY must be between 1 and 1000")
