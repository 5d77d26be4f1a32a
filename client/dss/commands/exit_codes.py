"""The exit codes of `dss`, for scripts."""

from dss.errors import CallFailed, ClientError, NoSuchName, NotADss, NoToken, SignInFailed, Unreachable

DONE, FAILED, WRONG_COMMAND_LINE, NOT_FOUND, NOT_ALLOWED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

# What a script may count on; `dss --help` and client/README.md have this table.
EXIT_CODES = {
    DONE: "everything was done",
    FAILED: "something failed or differs; stderr says what",
    WRONG_COMMAND_LINE: "the command line is wrong, or needs --yes",
    NOT_FOUND: "there is no such bundle, file, collection or job",
    NOT_ALLOWED: "you may not: no token, an expired one, or no permission",
    UNREACHABLE: "the DSS does not answer, or is none",
    INTERRUPTED: "Ctrl-C",
}

_BY_STATUS = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND, 410: NOT_FOUND}


def exit_code_of(error: ClientError) -> int:
    """Return the exit code of a command that this error ended."""
    if isinstance(error, Unreachable | NotADss):
        return UNREACHABLE
    if isinstance(error, CallFailed):
        return _BY_STATUS.get(error.status, FAILED)
    if isinstance(error, NoToken | SignInFailed):
        return NOT_ALLOWED
    return NOT_FOUND if isinstance(error, NoSuchName) else FAILED
