"""What the service says of itself: GA4GH's service-info, with the part of DRS."""

import importlib.metadata
import re
from typing import Any
from urllib.parse import urlsplit

from run.api.call import Call
from run.drs.document import DRS_PATH
from shared.drs.limits import MOST_OBJECTS

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def service_info_form(call: Call) -> dict[str, Any]:
    """Return the description of the service."""
    settings = call.dss.settings
    host = urlsplit(call.base_url).hostname or ""
    contact = _contact_url(settings.access_contact)
    return {
        "id": ".".join([*reversed(host.split(".")), "drs"]),
        "name": f"DRS of {settings.organization_name}",
        "type": {"group": "org.ga4gh", "artifact": "drs", "version": "1.5.0"},
        "description": "Versioned files, bundles of files, and collections, in two clouds.",
        "organization": {
            "name": settings.organization_name,
            "url": settings.organization_url or call.base_url,
        },
        **({"contactUrl": contact} if contact else {}),
        "documentationUrl": f"{call.base_url}{DRS_PATH}/openapi.json",
        "version": importlib.metadata.version("dss-service"),
        "maxBulkRequestLength": MOST_OBJECTS,
        "drs": {"maxBulkRequestLength": MOST_OBJECTS},
    }


def _contact_url(contact: str) -> str:
    """Return a contact as a URL; empty if it is neither a URL nor an address."""
    if contact.startswith(("https://", "http://", "mailto:")):
        return contact
    return f"mailto:{contact}" if _EMAIL.fullmatch(contact) else ""
