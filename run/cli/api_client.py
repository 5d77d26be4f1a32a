"""Everything that a client asks of the DSS in single calls."""

from run.cli.bundles import BundleCalls
from run.cli.checkouts import CheckoutCalls
from run.cli.collections import CollectionCalls
from run.cli.events import EventCalls
from run.cli.files import FileCalls
from run.cli.searches import SearchCalls
from run.cli.subscriptions import SubscriptionCalls


class ApiClient(
    FileCalls, BundleCalls, CollectionCalls, CheckoutCalls, SearchCalls, EventCalls, SubscriptionCalls
):
    """All areas of the API, a class each."""
