import uuid

import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gcs_server.listing import following

ALPHABET = "ab/é😀"
names = st.text(ALPHABET, min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))
bounds = st.text(ALPHABET, max_size=2)


def filled(client, object_names):
    bucket = client.create_bucket(f"bucket-{uuid.uuid4()}")
    for name in object_names:
        bucket.blob(name).upload_from_string(b"")
    return bucket


def test_names_come_in_the_order_of_their_utf_8(client):
    unordered = ["b", "a", "é", "Z", "\uffee", "😀", "a/b", "a-b"]
    bucket = filled(client, unordered)
    listed = [blob.name for blob in client.list_blobs(bucket)]
    assert listed == sorted(unordered, key=lambda name: name.encode())


def test_pages_end_to_end_are_the_whole_list(client):
    bucket = filled(client, [f"name-{number:02d}" for number in range(10)])
    pages = [[blob.name for blob in page] for page in client.list_blobs(bucket, page_size=4).pages]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [name for page in pages for name in page] == [f"name-{number:02d}" for number in range(10)]


def test_a_listing_tells_everything_of_each_object(client):
    bucket = filled(client, ["x"])
    [listed] = client.list_blobs(bucket)
    assert listed._properties == bucket.get_blob("x")._properties


def test_a_bad_page_token_is_refused(server, client):
    bucket = filled(client, [])
    path = f"{server.address}/storage/v1/b/{bucket.name}/o?pageToken=%F0!"
    assert requests.get(path, timeout=60).status_code == 400


@settings(deadline=None, max_examples=25)
@given(data=st.data(), kept=st.sets(names, max_size=12))
def test_any_listing_in_any_pages_is_what_the_definition_says(client, data, kept):
    bucket = filled(client, kept)
    for _ in range(6):
        prefix, start, end = data.draw(bounds), data.draw(bounds), data.draw(bounds)
        delimiter = data.draw(st.sampled_from(["", "/", "a", "/a"]))
        trailing = data.draw(st.booleans())
        limit = data.draw(st.integers(1, 4))
        pages = client.list_blobs(
            bucket,
            prefix=prefix or None,
            start_offset=start or None,
            end_offset=end or None,
            delimiter=delimiter or None,
            include_trailing_delimiter=trailing or None,
            page_size=limit,
        )
        items, prefixes, lengths = collected(pages)
        assert (items, prefixes) == defined(kept, prefix, start, end, delimiter, trailing)
        # An object that is also a prefix may make a page one longer.
        assert all(length <= limit + trailing for length in lengths)


def collected(listing):
    items, prefixes, lengths = [], [], []
    for page in listing.pages:
        found = [blob.name for blob in page]
        items += found
        prefixes += sorted(page.prefixes, key=str.encode)
        lengths.append(len(found) + len(page.prefixes))
    return items, prefixes, lengths


def defined(kept, prefix, start, end, delimiter, trailing):
    items, prefixes = [], []
    for name in sorted(kept, key=str.encode):
        if not name.startswith(prefix) or name < start or (end and name >= end):
            continue
        position = name.find(delimiter, len(prefix)) if delimiter else -1
        shared = name[: position + len(delimiter)] if position >= 0 else None
        if shared is None or (trailing and name == shared):
            items.append(name)
        if shared is not None and shared not in prefixes:
            prefixes.append(shared)
    return items, prefixes


def test_what_follows_a_prefix_is_above_all_that_begin_with_it():
    assert following("ab") == "ac"
    assert following("a\ud7ff") == "a\ue000"
    assert following("a\U0010ffff") == "b"
    assert following("\U0010ffff") == following("") == ""
