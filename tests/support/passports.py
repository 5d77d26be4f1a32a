"""Passports and visas of the local issuer, good and bad.

The issuer itself signs passports, and its second provider, `other`, visas.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from local.issuer.client import request_token
from local.issuer.kinds import OTHER_PATH

DATASET = "https://example.org/datasets/710"
SOURCE = "https://dac.example.org"
HOLDER = "researcher@example.org"


def passport_settings(env: Mapping[str, str], group: str) -> dict[str, str]:
    """Return the settings by which a visa for DATASET gives a group."""
    broker = env["OIDC_ISSUER"]
    visas = {"issuer": broker + OTHER_PATH, "value": DATASET, "source": SOURCE, "by": ["dac"]}
    return {
        "DSS_PASSPORT_ISSUERS": json.dumps([{"issuer": broker, "audiences": ["https://dss.example.org"]}]),
        "DSS_VISA_GRANTS": json.dumps([{**visas, "groups": [group]}]),
    }


def visa(
    env: Mapping[str, str], *, kind: str = "other", foreign_key: bool = False, ttl: int = 600, **changes: Any
) -> str:
    """Return a visa for DATASET, with changes to its object; claims are those that begin with `claim_`."""
    claims = {name[6:]: changes.pop(name) for name in list(changes) if name.startswith("claim_")}
    about = {"type": "ControlledAccessGrants", "value": DATASET, "source": SOURCE, "by": "dac"}
    claims = {"aud": None, "ga4gh_visa_v1": {**about, "asserted": int(time.time()) - 60, **changes}, **claims}
    return request_token(env, HOLDER, kind=kind, foreign_key=foreign_key, ttl=ttl, **claims)


def passport(
    env: Mapping[str, str],
    *visas: str,
    kind: str = "own",
    foreign_key: bool = False,
    ttl: int = 600,
    **claims: Any,
) -> str:
    """Return a passport that holds visas."""
    claims = {"aud": None, "ga4gh_passport_v1": list(visas), **claims}
    return request_token(env, HOLDER, kind=kind, foreign_key=foreign_key, ttl=ttl, **claims)
