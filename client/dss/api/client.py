"""Everything that a client asks of the DSS in single calls."""

from dss.api.bundles import BundleCalls
from dss.api.checkouts import CheckoutCalls
from dss.api.collections import CollectionCalls
from dss.api.events import EventCalls
from dss.api.files import FileCalls
from dss.api.search import SearchCalls
from dss.api.subscriptions import SubscriptionCalls


class ApiClient(
    FileCalls, BundleCalls, CollectionCalls, CheckoutCalls, SearchCalls, EventCalls, SubscriptionCalls
):
    """All areas of the API, a class each."""
