"""Checkouts, for which nobody has to sign in: one client cannot take the places of all others."""

from dss.tokens import fetch_local
from local.api import api_process
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds


def test_one_client_has_a_few_checkouts_at_once(stack: dict[str, str], api: Api, clouds: Clouds) -> None:
    bundles = [
        put_bundle(api, "gcp", [put_file(api, clouds.stage("gcp", new_uuid().encode())).named("a")])
        for _ in range(6)
    ]
    # The stack has no workflows: the job exists, and 503 with 10 seconds says that it could not be started.
    settings = {"DSS_CHECKOUTS_PER_CLIENT": "2", "DSS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with api_process(stack, settings) as process:
        strict = Api(process.url)

        def begin(bundle: Version, address: str, token: str | None = None) -> int:
            headers = {"X-Forwarded-For": f"6.6.6.6, {address}"}
            path = f"/v1/bundles/{bundle.uuid}/checkout"
            answer = strict.signed_in(token).post(path, replica="gcp", headers=headers)
            return int(answer.headers.get("Retry-After", 0))

        first, second, third, *others = bundles
        one, other = "198.51.100.7", "198.51.100.8"
        assert [begin(bundle, one) for bundle in (first, second, third)] == [10, 10, 60]
        assert begin(first, one) == 10, "it joins its own"
        assert begin(third, other) == 10, "another address has checkouts of its own"
        # A new one: those of other tests have begun checkouts, which run as long as this stack does.
        email = f"{new_uuid()}@example.org"
        token = fetch_local(stack["DSS_LOCAL_TOKEN_URL"], email=email, group="dss", seconds=600)
        signed_in = [begin(bundle, one, token) for bundle in others]
        assert signed_in == [10, 10, 60], "so has a caller who signs in"
