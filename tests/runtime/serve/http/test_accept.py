import pytest

from runtime.serve.http.accept import Wanted, read_accept
from runtime.serve.refusals import Refusal


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", Wanted(None, False)),
        ("*/*", Wanted(None, False)),
        ("image/*", Wanted(None, False)),
        ("image/png", Wanted("PNG", False)),
        ("image/webp;q=0.5, image/TIFF;q=0.9", Wanted("TIFF", False)),
        ("image/avif,image/webp,*/*;q=0.8", Wanted("WEBP", False)),
        ("image/png;q=0, */*", Wanted(None, False)),
        ("multipart/form-data", Wanted(None, True)),
        ("multipart/form-data, image/jpeg", Wanted("JPEG", True)),
        ("multipart/form-data;q=0, */*", Wanted(None, False)),
        ("image/png;q=nonsense, image/jpeg", Wanted("JPEG", False)),
    ],
)
def test_the_heaviest_format_counts_then_the_first(header, wanted):
    assert read_accept(header) == wanted


@pytest.mark.parametrize("header", ["text/html", "image/gif", "image/png;q=0", "application/json, text/plain"])
def test_what_there_is_not_is_refused(header):
    with pytest.raises(Refusal, match="image/png, image/jpeg, image/webp, image/tiff, multipart/form-data") as caught:
        read_accept(header)
    assert caught.value.code == "not-acceptable"
