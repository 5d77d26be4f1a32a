"""Which credentials are used for a DSS. The first of these that there is, here and nowhere else:

1. a token that an argument names: `--token`, `token=` of `dss.Client`
2. the key of a service account that an argument names: `--key-file`, `key_file=`
3. DSS_TOKEN
4. DSS_KEY_FILE
5. GOOGLE_APPLICATION_CREDENTIALS, if an audience is configured (DSS_AUDIENCE, or `audience` of the profile)
6. `key_file` of the profile
7. the login at this DSS: `dss login`
8. other application default credentials of Google (gcloud's, or those of a machine in Google Cloud), if there
   are any, and an audience is configured or the token type access_token

Without any, calls are made without a token, which suffices to read what is public. An empty token
(`--token ""`) means the same. The audience is asked for so that no token of Google's goes to a DSS by chance.
"""

from pathlib import Path

from dss import environment
from dss.errors import InvalidInput
from dss.profiles import Settings, base_of
from dss.sign_in.sources import FixedToken, TokenSource


def token_source(settings: Settings) -> TokenSource:
    """Return where tokens for the DSS of these settings come from. Raises InvalidInput."""
    origin_of = settings.origins.get
    by_argument = "an argument"
    if settings.token is not None and origin_of("token") == by_argument:
        return FixedToken(settings.token, by_argument)
    if settings.key_file and origin_of("key_file") == by_argument:
        return _key(settings)
    if settings.token:
        return FixedToken(settings.token, str(origin_of("token")))
    if settings.key_file and not str(origin_of("key_file")).startswith("profile"):
        return _key(settings)
    return _google_file(settings) or _stored(settings)


def _key(settings: Settings) -> TokenSource:
    from dss.sign_in.google import ServiceAccountKey

    path, origin = Path(str(settings.key_file)).expanduser(), settings.origins["key_file"]
    if not settings.audience:
        raise InvalidInput(
            f"the key {path} ({origin}) signs tokens for an audience: set DSS_AUDIENCE or "
            "`audience` of the profile, to the one that the DSS accepts"
        )
    return ServiceAccountKey(path, settings.audience, dict(settings.claims), f"{path} ({origin})")


def _google_file(settings: Settings) -> TokenSource | None:
    path = environment.google_credentials()
    if path is None or not settings.audience:
        return None
    from dss.sign_in.google import DefaultCredentials, ServiceAccountKey, kind_of

    origin = f"{path} (GOOGLE_APPLICATION_CREDENTIALS)"
    token_type = settings.token_type or "id_token"
    if kind_of(path) == "service_account" and token_type == "id_token":
        return ServiceAccountKey(path, settings.audience, dict(settings.claims), origin)
    return DefaultCredentials(settings.audience, token_type, origin)


def _stored(settings: Settings) -> TokenSource:
    if settings.key_file:
        return _key(settings)
    login = login_at(settings.url) if settings.url else None
    if login:
        return login
    wanted = settings.audience or settings.token_type == "access_token"
    if wanted and environment.has_google_credentials():
        from dss.sign_in.google import DefaultCredentials

        origin = "Google's application default credentials"
        return DefaultCredentials(settings.audience, settings.token_type or "id_token", origin)
    return FixedToken(None, "no credentials")


def login_at(url: str) -> TokenSource | None:
    """Return the login of `dss login` at the DSS with this URL, None if there is none."""
    if not environment.logins_file().exists():
        return None
    from dss.sign_in.login import Login
    from dss.sign_in.store import LoginStore

    store = LoginStore()
    login = store.load(base_of(url))
    return Login(login, store) if login else None
