"""The page in headless Chromium."""

import base64
import io
import shutil

import httpx
import numpy as np
import pytest
from PIL import Image

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
NARROW = 360
"""Width in pixels of the narrowest telephones."""


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
        # Windows cannot be as narrow as telephones are.
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(str(client.base_url))
        assert browser.execute_script("return window.innerWidth") == width
        return lambda id: browser.find_element(By.ID, id)

    return page


def until(browser, condition):
    return WebDriverWait(browser, SECONDS, 0.1).until(lambda driver: condition())


def begin(browser, find, quality="fast"):
    until(browser, find("restore").is_enabled)
    browser.execute_script("document.getElementById('quality').value = arguments[0]", quality)
    find("restore").click()


def restore(browser, find, file):
    find("file").send_keys(str(file))
    begin(browser, find)


def give(browser, kind, data):
    """Drop or paste a file ``photo.png``; return whether the page takes it, instead of the browser."""
    return browser.execute_script(
        """
        const [kind, data] = arguments;
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], "photo.png", { type: "image/png" }));
        const options = { bubbles: true, cancelable: true, dataTransfer: carried, clipboardData: carried };
        if (kind === "paste") return document.body.dispatchEvent(new ClipboardEvent("paste", options));
        const isTaken = !document.body.dispatchEvent(new DragEvent("dragover", options));
        const isShown = document.getElementById("drop").classList.contains("over");
        return !document.body.dispatchEvent(new DragEvent("drop", options)) && isTaken && isShown;
        """,
        kind,
        base64.b64encode(data).decode(),
    )


UNUSABLE = """
const used = "a[href], button, select, input, summary, label[for]";
return [...document.querySelectorAll(used)].filter((element) => {
  const target = element.id === "file" ? document.getElementById("drop") : element;
  if (!target.checkVisibility() || target.disabled) return false;
  target.scrollIntoView({ block: "center" });
  const box = target.getBoundingClientRect();
  const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const isReached = target.contains(there) || (target.control && target.control.contains(there));
  return !isReached || box.left < 0 || box.right > window.innerWidth || Math.min(box.width, box.height) < 24;
}).map((element) => element.id || element.outerHTML);
"""
"""Finds controls that are covered, beyond the window, or smaller than 24 px."""


SHOWS_LIGHT = """
const values = arguments[0].getContext("2d").getImageData(0, 0, 192, 192).data;
return values.some((value, at) => at % 4 < 3 && value > 200);
"""
"""Whether a canvas of 192 px has a light pixel."""


def assert_fits(browser):
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.execute_script(UNUSABLE) == []


@pytest.mark.parametrize("width", [NARROW, 1200])
def test_a_photograph_is_restored_compared_and_downloaded(
    browser, page, real_client, photograph, tmp_path, downloads, width
):
    file = tmp_path / f"holiday {width}.png"
    file.write_bytes(photograph)
    find = page(real_client, width)
    browser.execute_script("document.querySelector('details').open = true")
    assert_fits(browser)
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
    facts = {term.text for term in find("report").find_elements(By.TAG_NAME, "dt")}
    assert facts == {"How sure", "Size", "Brightness", "Time", "Method"}
    assert "% that this is better than before" in find("report").text
    for image in ("before", "after"):
        assert browser.execute_script("return arguments[0].naturalWidth", find(image)) > 0
    light = (
        "return arguments[0].getContext('2d').getImageData(0, 0, 192, 192).data.some((v, i) => i % 4 < 3 && v > 200)"
    )
    until(browser, lambda: browser.execute_script(light, find("kernel")))
    before = find("before").value_of_css_property("clip-path")
    find("split").send_keys(Keys.ARROW_RIGHT * 10)
    assert find("split").get_attribute("value") == "60"
    assert find("before").value_of_css_property("clip-path") != before
    assert_fits(browser)
    assert not find("actual").is_displayed()
    assert [entry for entry in browser.get_log("browser") if "Content Security" in entry["message"]] == []


def test_a_photograph_wider_than_the_window_can_be_seen_in_actual_size(browser, page, real_client, tmp_path):
    file = tmp_path / "wide.png"
    Image.fromarray(blurred(slice(150, 250), slice(0, 420))).save(file)
    find = page(real_client, NARROW)
    restore(browser, find, file)
    until(browser, find("actual").is_displayed)
    assert find("before").size["width"] < NARROW
    find("actual").click()
    assert find("before").size == find("after").size == {"width": 420, "height": 100}
    assert_fits(browser)
    # The slider divides what is in view, wherever that has been scrolled to.
    browser.execute_script("arguments[0].scrollLeft = 50", find("frame"))
    middle = f"{50 + find('frame').size['width'] / 2:g}px"
    split = "return document.getElementById('compare').style.getPropertyValue('--split')"
    until(browser, lambda: browser.execute_script(split) == middle)
    find("actual").click()
    assert find("before").size["width"] < NARROW
    assert browser.execute_script(split) == "50%"


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photograph_can_be_dropped_or_pasted(browser, page, real_client, photograph, kind):
    find = page(real_client)
    assert not find("restore").is_enabled()
    assert give(browser, kind, photograph)
    assert find("chosen").text.startswith("photo.png, ")
    begin(browser, find)
    until(browser, find("result").is_displayed)
    assert find("status").text == "Done."
    assert find("download").get_attribute("download") == "photo.deblurred.png"


def test_work_is_told_in_plain_words_and_can_be_cancelled(browser, page, real_client, photograph, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(photograph)
    find = page(real_client, NARROW)
    find("file").send_keys(str(file))
    begin(browser, find, "best")
    until(browser, lambda: "Finding out how the camera moved" in find("status").text)
    assert find("progress").is_displayed()
    assert not find("restore").is_enabled()
    assert_fits(browser)
    give(browser, "drop", photograph)
    assert "cancel it first" in find("error").text
    find("cancel").click()
    until(browser, lambda: find("status").text == "Cancelled.")
    assert find("error").text == ""
    assert not find("progress").is_displayed()
    assert not find("cancel").is_displayed()
    assert not find("result").is_displayed()
    until(browser, lambda: "deblur_in_work 0.0" in real_client.get("/metrics").text)
    begin(browser, find)
    until(browser, find("result").is_displayed)
    assert find("status").text == "Done."


def test_a_photograph_that_was_stored_lying_is_shown_upright_before_and_after(browser, page, real_client, tmp_path):
    upright = blurred(slice(60, 188), slice(150, 246))
    lying = Image.fromarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    file = tmp_path / "photo.jpg"
    lying.save(file, quality=95, exif=exif)
    find = page(real_client)
    restore(browser, find, file)
    until(browser, find("result").is_displayed)
    assert find("status").text == "Done."
    assert find("before").rect == find("after").rect
    for share in (0, 100):
        browser.execute_script("split(arguments[0])", share)
        shown = Image.open(io.BytesIO(find("pictures").screenshot_as_png)).convert("RGB")
        assert shown.height / shown.width == pytest.approx(128 / 96, rel=0.01)
        grey = np.asarray(shown.resize((96, 128)), float).mean(axis=2)
        errors = [np.abs(grey - turned).mean() for turned in turns(upright.mean(axis=2))]
        assert np.argmin(errors) == 0
        assert errors[0] < 0.5 * min(errors[1:])


def blurred(rows, columns):
    """A part of the sample photograph, blurred by a motion of 7 px."""
    from importlib import resources

    whole = np.asarray(Image.open(resources.files("runtime").joinpath("samples/astronaut.jpg")), float)
    shifted = [np.roll(whole, -shift, axis=1) for shift in range(7)]
    return np.rint(np.mean(shifted, axis=0)[rows, columns]).astype(np.uint8)


def turns(plane):
    """A plane, and what it is upside down, mirrored, and both."""
    return plane, plane[::-1], plane[:, ::-1], plane[::-1, ::-1]


def test_a_photograph_that_is_left_as_it_was_says_why(browser, page, real_client, tmp_path):
    file = tmp_path / "grey.png"
    Image.new("RGB", (96, 96), "grey").save(file)
    find = page(real_client)
    restore(browser, find, file)
    until(browser, find("result").is_displayed)
    assert find("status").text == "Left as it was: all of it has the same colour."
    assert find("result-title").text == "Left as it was"
    for part in ("compare", "keep", "kernel-figure"):
        assert not find(part).is_displayed()
    assert "all of it has the same colour" in find("report").text


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
