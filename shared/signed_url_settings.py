"""How long signed URLs may live."""

# S3 and GCS: a signed URL is valid for at most seven days. What IAM signs is good for twelve hours, as is the
# session of a role in AWS; an hour is for those that are an hour old when they sign.
# https://cloud.google.com/iam/docs/create-short-lived-credentials-direct
_LONGEST_SECONDS, _LONGEST_WITHOUT_KEYS_SECONDS = 604_800, 39_600


def check_signed_urls(seconds: int, key_file: str, aws_role: str) -> None:
    """Raise ValueError if what signs URLs would not let them live for so long."""
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError(f"DSS_SIGNED_URL_SECONDS must be between 1 and {_LONGEST_SECONDS}")
    if seconds > _LONGEST_WITHOUT_KEYS_SECONDS and (aws_role or not key_file):
        raise ValueError(
            f"DSS_SIGNED_URL_SECONDS must be at most {_LONGEST_WITHOUT_KEYS_SECONDS} without "
            "DSS_GS_SIGNING_KEY_FILE or with DSS_AWS_ROLE_ARN: what signs URLs then lives for twelve hours"
        )
