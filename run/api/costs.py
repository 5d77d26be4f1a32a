"""What each operation of the contract costs, in units of a request budget.

A unit is about the CPU time of a HEAD of a file, 2 ms (docs/benchmarks/operations.md). An operation whose
time depends on what it names has the cost of a usual one: a bundle of a hundred files, a full page of a list.
Searches, and what starts jobs or calls somebody, cost more than their CPU time here: others do the work.
"""

COSTS = {
    "account.change_subscription": 20,
    "account.check_out": 20,
    "account.choose_bucket": 5,
    "account.choose_collection": 20,
    "account.choose_format": 10,
    # It pays for the lists that it reads, too.
    "account.collect": 20,
    # It asks the provider.
    "account.finish_sign_in": 20,
    "account.get_subscription": 5,
    "account.list_collections": 20,
    "account.list_subscriptions": 10,
    "account.make_manifest": 40,
    "account.me": 2,
    "account.sign_in": 2,
    "account.sign_out": 1,
    "account.subscribe": 5,
    "account.watch_checkout": 1,
    "account.watch_manifest": 2,
    "browse.compare": 10,
    "browse.draw": 40,
    # It reads all names of a bundle, and pays for those of large ones.
    "browse.get_bundle": 10,
    "browse.get_collection": 5,
    "browse.get_content": 1,
    "browse.get_entity": 5,
    # The beginning of a file passes through here.
    "browse.get_file": 5,
    "browse.get_image": 5,
    "browse.get_run": 5,
    # Growth is computed once an hour at most, what the system is like every quarter of a minute.
    "browse.grow": 10,
    # The page of a list is a list of the catalogue and a summary of it.
    "browse.home": 40,
    "browse.list_entities": 40,
    "browse.list_bundles": 10,
    "browse.list_values": 20,
    "browse.status": 10,
    "bundles.delete": 5,
    "bundles.get": 2,
    "bundles.list_all": 10,
    "bundles.patch": 15,
    "bundles.put": 15,
    "checkout.get": 1,
    "checkout.post": 20,
    "collections.delete": 5,
    "collections.get": 5,
    "collections.list_own": 5,
    "collections.patch": 15,
    "collections.put": 15,
    "drs.get": 1,
    "drs.get_access": 1,
    "drs.get_object": 1,
    "drs.options_object": 1,
    # Beside these, requests for many objects pay for each (run/drs/bulk.py), and all for the items of large
    # bundles and collections (run/drs/contents.py).
    "drs.options_objects": 1,
    "drs.post_access": 1,
    "drs.post_accesses": 1,
    "drs.post_object": 1,
    "drs.post_objects": 1,
    "drs.service_info": 1,
    "events.get": 5,
    "events.list_journals": 5,
    # It sends what others fetch from a cloud.
    "events.read_journal": 10,
    "explore.catalogs": 1,
    "explore.fetch_file": 2,
    # Small manifests are made at once, for others a function works.
    "explore.fetch_manifest": 2,
    "explore.fetch_new_manifest": 40,
    "explore.get_data_object": 2,
    "explore.get_entity": 2,
    "explore.get_file": 2,
    "explore.get_manifest": 2,
    "explore.health_of": 10,
    "explore.health_of_all": 10,
    "explore.integrations": 1,
    # All facets of a large catalogue take longer than a page.
    "explore.list_entities": 20,
    "explore.post_entities": 20,
    "explore.post_summary": 20,
    "explore.put_manifest": 40,
    "explore.sources": 1,
    "explore.summary": 20,
    "files.get": 1,
    "files.head": 1,
    "files.put": 4,
    "files.put_many": 5,
    "imports.delete": 5,
    "imports.get": 5,
    "imports.put": 20,
    "imports.report": 5,
    "imports.start": 20,
    "search.post": 10,
    "subscriptions.delete": 5,
    "subscriptions.deliveries": 5,
    "subscriptions.get": 1,
    "subscriptions.list_own": 5,
    "subscriptions.put": 5,
    "subscriptions.replay": 20,
    "subscriptions.test": 20,
}
# Each file of `files.put_many`, beside what the request costs.
FILE_OF_MANY = 2
# A sign-in that fails: it may cost a request to the issuer of the token.
FAILED_SIGN_IN = 5
