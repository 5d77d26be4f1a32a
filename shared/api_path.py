"""Where the v1 API begins at the address of a service, for everything that writes its URLs."""

# The basePath of run/api/dss-api.yml. The client, a distribution of its own, has it in dss/api/calls.py.
API_PATH = "/v1"


def api_url(base_url: str) -> str:
    """Return the URL of the API of the service at `base_url`."""
    return base_url.rstrip("/") + API_PATH
