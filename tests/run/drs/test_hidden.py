"""With DSS_HIDE_MANAGED, DRS answers for what is hidden as for what is not there."""

from collections.abc import Iterator

import pytest

from local.api import api_process
from shared.copying.large import copy_order
from shared.files import file_record
from shared.identifiers import Fqid
from shared.sources import find_source, source_at
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import Clouds
from tests.support.drs import Drs


@pytest.fixture(scope="module")
def hiding(stack: dict[str, str]) -> Iterator[Drs]:
    """DRS of an API that hides managed data, asked without a token."""
    with api_process(stack, {"DSS_HIDE_MANAGED": "true"}) as process:
        yield Drs(Api(process.url))


def test_a_hidden_file_that_is_being_verified_is_404_as_an_absent_one(
    hiding: Drs, admin: Api, dss: Dss, clouds: Clouds
) -> None:
    file, absent = (Version(new_uuid(), now()) for _ in range(2))
    source = find_source(source_at(dss.replicas, clouds.stage("gcp", new_uuid().encode())))
    record = file_record(Fqid(file.uuid, file.version), 1, source)
    dss.catalog.jobs.begin(copy_order(source.object, source.replica, source.replica, record, verify=True))
    bind(dss, file.uuid, readers=frozenset(("lab",)))

    for name in (str(file), file.uuid):
        answer = hiding.get(f"/objects/{name}")
        assert answer.status_code == 404
        other = hiding.get(f"/objects/{name.replace(file.uuid, absent.uuid)}")
        assert answer.text.replace(file.uuid, absent.uuid) == other.text
        assert hiding.signed_in(admin.token).get(f"/objects/{name}").status_code == 202
