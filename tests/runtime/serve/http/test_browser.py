"""The page in headless Chromium."""

import shutil

import httpx
import pytest

pytest.importorskip("uvicorn", reason="needs the extra serve")
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from runtime.serve.http.guard import Access  # noqa: E402
from tests.runtime.serve.http.conftest import listening  # noqa: E402

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
]
SECONDS = 60


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser):
    """Open the page of a client's service; gives a function that finds an element."""

    def page(client, width=1200):
        browser.set_window_size(width, 900)
        browser.get(str(client.base_url))
        return lambda id: browser.find_element(By.ID, id)

    return page


def until(browser, condition):
    return WebDriverWait(browser, SECONDS, 0.1).until(lambda driver: condition())


def restore(browser, find, file):
    find("file").send_keys(str(file))
    until(browser, find("restore").is_enabled)
    browser.execute_script("document.getElementById('quality').value = 'fast'")
    find("restore").click()


@pytest.mark.parametrize("width", [380, 1200])
def test_a_photograph_is_restored_compared_and_downloaded(
    browser, page, real_client, photograph, tmp_path, downloads, width
):
    file = tmp_path / f"holiday {width}.png"
    file.write_bytes(photograph)
    find = page(real_client, width)
    restore(browser, find, file)
    until(browser, find("result").is_displayed)
    assert find("status").text == "Done."
    assert find("error").text == ""
    expected = httpx.post(
        f"{real_client.base_url}/v1/deblur", files={"image": photograph}, data={"quality": "fast"}, timeout=SECONDS
    ).content
    browser.execute_script("arguments[0].click()", find("download"))
    saved = downloads / f"holiday {width}.deblurred.png"
    until(browser, saved.is_file)
    assert saved.read_bytes() == expected
    assert {"Size", "Seconds", "Model"} <= {term.text for term in find("report").find_elements(By.TAG_NAME, "dt")}
    for image in ("before", "after", "kernel"):
        assert browser.execute_script("return arguments[0].naturalWidth", find(image)) > 0
    before = find("before").value_of_css_property("clip-path")
    find("split").send_keys(Keys.ARROW_RIGHT * 10)
    assert find("split").get_attribute("value") == "60"
    assert find("before").value_of_css_property("clip-path") != before
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in browser.get_log("browser") if "Content Security" in entry["message"]] == []


def test_what_is_no_photograph_is_refused_in_words(browser, page, real_client, tmp_path):
    file = tmp_path / "letter.png"
    file.write_bytes(b"no photograph at all")
    find = page(real_client)
    restore(browser, find, file)
    until(browser, lambda: find("error").text)
    assert "PNG, JPEG, TIFF or WebP" in find("error").text
    assert not find("result").is_displayed()
    assert find("restore").is_enabled()


def test_a_token_is_asked_for_and_sent(browser, page, real_service, photograph, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(photograph)
    with listening(real_service, Access(token="0123456789abcdef")) as client:
        find = page(client)
        assert not find("token").is_displayed()
        restore(browser, find, file)
        until(browser, find("token").is_displayed)
        assert "token" in find("error").text
        find("token").send_keys("0123456789abcdef")
        until(browser, find("restore").is_enabled)
        find("restore").click()
        until(browser, find("result").is_displayed)
        assert find("error").text == ""
