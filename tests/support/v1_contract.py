"""The operations of the contract, each with its parameters and answers."""

# Every operation with its parameters (* required, = default, [lowest..highest]) and its answers.
THE_V1_CONTRACT = {
    ("search.post", "POST /search"): (
        "output_format=summary replica* per_page=100[10..500] search_after json_request_body*",
        "200 206 default",
    ),
    ("files.head", "HEAD /files/{uuid}"): ("uuid* replica* version", "200"),
    ("files.get", "GET /files/{uuid}"): (
        "uuid* replica* version token directurl content_disposition",
        "301 302 400 default",
    ),
    ("files.put", "PUT /files/{uuid}"): (
        "uuid* version* json_request_body*",
        "200 201 202 400 409 422 default",
    ),
    ("subscriptions.list_own", "GET /subscriptions"): ("replica* subscription_type=jmespath", "200 default"),
    ("subscriptions.put", "PUT /subscriptions"): ("replica* json_request_body*", "201 default"),
    ("subscriptions.get", "GET /subscriptions/{uuid}"): (
        "uuid* replica* subscription_type=jmespath",
        "200 default",
    ),
    ("subscriptions.delete", "DELETE /subscriptions/{uuid}"): (
        "uuid* replica* subscription_type=jmespath",
        "200 default",
    ),
    ("collections.list_own", "GET /collections"): ("per_page=500[10..500] start_at[0..]", "200 206 default"),
    ("collections.put", "PUT /collections"): ("replica* uuid* version* json_request_body*", "201 default"),
    ("collections.get", "GET /collections/{uuid}"): ("uuid* replica* version", "200 default"),
    ("collections.patch", "PATCH /collections/{uuid}"): (
        "uuid* replica* version* json_request_body*",
        "200 400 403 404 422 default",
    ),
    ("collections.delete", "DELETE /collections/{uuid}"): ("uuid* replica*", "200 default"),
    ("bundles.list_all", "GET /bundles/all"): (
        "replica* prefix token per_page=100[10..500] search_after",
        "200 206 default",
    ),
    ("bundles.get", "GET /bundles/{uuid}"): (
        "uuid* version replica* directurls presignedurls token per_page=500[10..500] start_at[0..]",
        "200 206 301 400",
    ),
    ("bundles.put", "PUT /bundles/{uuid}"): (
        "uuid* version* replica* owner_group json_request_body*",
        "200 201 400 409 default",
    ),
    ("bundles.patch", "PATCH /bundles/{uuid}"): (
        "uuid* replica* version* json_request_body*",
        "200 400 403 404 422 default",
    ),
    ("bundles.delete", "DELETE /bundles/{uuid}"): (
        "uuid* replica* version json_request_body*",
        "200 401 403 409 default",
    ),
    ("checkout.post", "POST /bundles/{uuid}/checkout"): (
        "uuid* version replica* json_request_body",
        "200 default",
    ),
    ("checkout.get", "GET /bundles/checkout/{checkout_job_id}"): (
        "replica* checkout_job_id*",
        "200 404 default",
    ),
    ("events.list_journals", "GET /events"): (
        "from_date to_date replica* per_page=1[1..10] token",
        "200 206 default",
    ),
    ("events.get", "GET /events/{uuid}"): ("uuid* version* replica*", "200 default"),
    ("drs.get", "GET /ga4gh/drs/v1/objects/{object_id}"): (
        "object_id* version replica=aws expand=False",
        "200 202 400 401 403 404 default",
    ),
}

# The operations that this system adds.
BEYOND_V1 = {
    ("files.put_many", "POST /files/batch"): ("replica* json_request_body*", "200 400 413 default"),
    ("events.read_journal", "GET /journals"): ("token*", "200 default"),
    ("subscriptions.deliveries", "GET /subscriptions/{uuid}/deliveries"): (
        "uuid* replica* per_page=100[10..500] search_after",
        "200 206 default",
    ),
    ("subscriptions.test", "POST /subscriptions/{uuid}/test"): ("uuid* replica*", "202 default"),
    ("subscriptions.replay", "POST /subscriptions/{uuid}/replay"): (
        "uuid* replica* from_date*",
        "202 default",
    ),
}
