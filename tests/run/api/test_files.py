"""x"""
from tests.given import *
def test_x(api, clouds, replica):
    file = put_file(api, clouds.stage(replica, b"hello"))
    r = api.head(f"/v1/files/{file.uuid}", replica=replica)
    print(r.headers)
    b = put_bundle(api, replica, [file.named("a")])
    print(api.get(f"/v1/bundles/{b.uuid}", replica=replica, presignedurls=True).text)
