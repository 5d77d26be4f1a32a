"""`dss admin`: operators work on catalog, buckets and Pub/Sub directly, with their own credentials.

A module in `commands` parses the command line, and the one of the same name beside it does the work. That one
needs the clouds' SDKs, so the command imports it when it runs.
"""
