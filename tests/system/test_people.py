"""People at the pages of the whole system, in a browser: from sign-in to sign-out, by links and forms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import requests
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from shared.bindings import change_binding
from shared.groups import add_members
from tests.run.browse.test_browser import Window
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.browser import PATIENCE, leave_by, open_browser, waiting
from tests.support.checkouts import read_objects, user_bucket
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import HcaBundle, sequenced
from tests.support.subscriber import subscriber

LAB = "people-lab"
EMAIL = f"{new_uuid()}@example.org"


@dataclass(frozen=True)
class Person:
    """Somebody in front of a browser."""

    browser: Chrome
    url: str

    def open(self, path: str) -> None:
        self.browser.get(self.url + path)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something on the page, which may be loaded again meanwhile."""
        try:
            waiting(self.browser).until(lambda _: condition())
        except TimeoutException:
            pytest.fail(f"{self.browser.current_url} shows after {PATIENCE} s:\n{self.text}")

    def follow(self, text: str) -> None:
        """Follow the first link with a text, to another page."""
        self._leave_by(self.browser.find_element(By.LINK_TEXT, text))

    def press(self, text: str) -> None:
        """Press the first button with a text, which leads to another page."""
        self._leave_by(self.browser.find_element(By.XPATH, f"//button[normalize-space()='{text}']"))

    def choose(self, name: str, value: str) -> None:
        """Choose a value of a form's choice."""
        self._click(self.browser.find_element(By.CSS_SELECTOR, f"input[name={name}][value='{value}']"))

    def _leave_by(self, element: WebElement) -> None:
        leave_by(self.browser, lambda: self._click(element))

    def _click(self, element: WebElement) -> None:
        # What stays at the edge of a small window may cover what is there.
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def field(self, name: str) -> WebElement:
        return self.browser.find_element(By.NAME, name)

    @property
    def text(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def link(self, text: str) -> str:
        return str(self.browser.find_element(By.LINK_TEXT, text).get_attribute("href"))

    def check(self) -> None:
        """Fail unless everybody can use the page, as far as axe knows."""
        assert Window(self.browser, self.url).faults() == []

    def complaints(self) -> list[str]:
        """Return what the browser has said of our pages: of what their policy forbids, and of errors."""
        said = [each["message"] for each in self.browser.get_log("browser")]
        return [each for each in said if self.url in each]


@pytest.fixture(scope="module")
def sample(whole_system: dict[str, str]) -> HcaBundle:
    """A bundle of the store and its catalogue, for members of LAB, to which operators have added EMAIL."""
    dss = open_dss_for_threads(whole_system, publishes=False)
    made = sequenced(f"people-{new_uuid()}", organ=f"organ {new_uuid()}")
    change_binding(
        dss, made.fqid.uuid, "operator@example.org", lambda old: replace(old, readers=frozenset((LAB,)))
    )
    add_members(dss, LAB, [EMAIL], "operator@example.org")
    # What is managed already, only admins and its owners write.
    by_admin = {**whole_system, "DSS_TOKEN": whole_system["DSS_ADMIN_TOKEN"]}
    service = ExploreService(Api(whole_system["DSS_URL"]), by_admin, dss)
    service.upload(Clouds(whole_system), made)
    return made


@pytest.fixture(scope="module")
def person(whole_system: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.set_window_size(1280, 900)
        yield Person(browser, whole_system["DSS_URL"])


def test_a_member_finds_takes_and_is_told_from_sign_in_to_sign_out(
    whole_system: dict[str, str], person: Person, sample: HcaBundle
) -> None:
    clouds, writer = Clouds(whole_system), Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])
    uuid = sample.fqid.uuid
    found = f"/browse/files?is.bundleUuid={uuid}"
    person.open(found)
    assert "Nothing is found" in person.text

    person.follow("Sign in")
    for name, text in (("email", EMAIL), ("group", "dss")):
        person.field(name).clear()
        person.field(name).send_keys(text)
    person.press("Sign in")
    assert person.browser.current_url == person.url + found
    assert EMAIL in person.text

    # The catalogue has it a moment after its upload.
    def is_found() -> bool:
        person.open(found)
        return "2 files found" in person.text

    person.until(is_found)

    person.follow("Take the files")
    person.check()
    person.choose("format", "full")
    person.press("Make it")
    person.until(lambda: person.link("Download the manifest"))
    person.check()
    manifest = requests.get(person.link("Download the manifest"), timeout=30)
    assert manifest.text.count(uuid) == 2

    person.open(found)
    person.follow("Add the bundles to a collection")
    person.check()
    person.field("name").send_keys("mine <&> all")
    person.press("Add")
    assert "mine <&> all" in person.text
    assert uuid in person.text
    shared = person.browser.current_url
    person.follow("Collections")
    person.check()
    assert shared.startswith(person.link("mine <&> all"))

    bucket = user_bucket(clouds, "gcp", allows=EMAIL.encode())
    person.open(f"/browse/bundles/{uuid}")
    person.check()
    person.follow("Copy to a bucket of yours")
    person.check()
    person.field("bucket").send_keys(f"gs://{bucket}")
    person.press("Copy")
    person.until(lambda: "It is done" in person.text)
    assert f"gs://{bucket}/bundles/{sample.fqid}" in person.text
    person.check()
    assert len(read_objects(clouds, "gcp", bucket, "bundles/")) == len(sample.files) + len(sample.documents)

    file = put_file(writer, clouds.stage("gcp", b"content"))
    new = Version(new_uuid(), file.version)
    with subscriber() as server:
        person.follow("Subscriptions")
        person.check()
        person.field("callback_url").send_keys(server.url("/ok/people"))
        person.choose("language", "jmespath")
        person.field("query").send_keys(f"bundle_info.uuid == '{new.uuid}'")
        person.press("Subscribe")
        assert "Nothing was sent yet" in person.text
        put_bundle(writer, "gcp", [file.named("a.txt")], bundle=new)

        def is_delivered() -> bool:
            person.browser.refresh()
            return new.uuid in person.text and "delivered" in person.text

        person.until(is_delivered)
        person.check()
        assert len(server.calls_of("/ok/people")) == 1
    person.press("Delete this subscription")
    assert "You have none yet" in person.text

    for path in ("/browse/me", "/browse/collect"):
        person.open(path)
        person.check()
    person.press("Sign out")
    assert EMAIL not in person.text
    person.open(found)
    assert "Nothing is found" in person.text
    person.open(f"/browse/bundles/{uuid}")
    assert "Unauthorized" in person.text
    assert [each for each in person.complaints() if "status of 401" not in each] == []
