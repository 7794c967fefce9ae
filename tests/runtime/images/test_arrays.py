import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from runtime.colour import luminance
from runtime.errors import DeblurError, InvalidArgument, InvalidImage, UnsupportedType
from runtime.images import decode, open_image

CHANNELS = [(), (1,), (2,), (3,), (4,)]
INTEGERS = [np.uint8, np.uint16]
FLOATS = [np.float16, np.float32, np.float64]

sides = st.integers(1, 9)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@st.composite
def arrays(draw, dtypes=(*INTEGERS, *FLOATS)):
    shape = (draw(sides), draw(sides), *draw(st.sampled_from(CHANNELS)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    if dtype.kind == "u":
        return draw(hnp.arrays(dtype, shape))
    values = st.floats(-4, 4, width=min(dtype.itemsize * 8, 32))
    return draw(hnp.arrays(dtype, shape, elements=values))


def is_back(closed, image, frame):
    """Tell whether an image came back: exactly, but for rounding if its floats are shifted."""
    if frame.scale.is_identity:
        return np.array_equal(closed, image)
    largest = np.abs(image).max() - frame.scale.black
    epsilon = np.finfo(np.float16 if image.dtype == np.float16 else np.float32).eps
    return np.abs(closed - image).max() <= epsilon * largest


@given(arrays())
def test_unchanged_planes_give_the_image_back(image):
    planes, frame = open_image(image)
    closed = frame.close(planes)
    assert type(closed) is np.ndarray
    assert closed.dtype == image.dtype
    assert is_back(closed, image, frame)


@given(st.floats(0, 1))
def test_float64_comes_back_as_the_nearest_float32(value):
    planes, frame = open_image(np.full((2, 3), value))
    assert (frame.close(planes) == np.float64(np.float32(value))).all()


@given(arrays())
def test_planes_are_fresh_float32_colours(image):
    before = image.copy()
    planes, _ = open_image(image)
    colours = 3 if image.ndim == 3 and image.shape[2] >= 3 else 1
    assert planes.shape == (colours, *image.shape[:2])
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    planes += 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float16, 1), (np.float64, 1)])
def test_the_dtype_alone_tells_the_range(dtype, full):
    dark = np.array([[0, 1]], dtype)
    assert np.array_equal(open_image(dark)[0][0], np.float32([[0, 1 / full]]))
    assert open_image(np.full((1, 1), full, dtype))[0].item() == 1.0


def test_integers_are_rounded_and_clipped():
    planes, frame = open_image(np.zeros((1, 5), np.uint8))
    planes[0, 0] = np.array([-0.5, 1.5, 100.4 / 255, 100.6 / 255, 1]).astype(np.float32)
    assert frame.close(planes).tolist() == [[0, 255, 100, 101, 255]]


def test_floats_keep_the_range_that_came_in():
    planes, frame = open_image(np.float32([[0.25, 0.75]]))
    assert frame.close(planes * 9 - 3).tolist() == [[0, 1]]
    planes, frame = open_image(np.float32([[-0.5, 3.0]]))
    assert frame.close(planes * 9).tolist() == [[-0.5, 3.0]]


@given(arrays())
def test_alpha_and_invisible_pixels_pass_through_whatever_happens_to_the_colours(image):
    planes, frame = open_image(image)
    closed = frame.close(np.full_like(planes, 0.5))
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels in (2, 4):
        visible = image[..., -1] > 0
        assert np.array_equal(closed[..., -1], image[..., -1])
        assert np.array_equal(closed[~visible], image[~visible])
        assert (frame.known is None) == visible.all()
        assert frame.known is None or np.array_equal(frame.known, visible)
        closed = closed[visible][..., :-1]
    assert len(np.unique(closed)) <= 1


@given(arrays(), st.integers(0, 99))
def test_masked_pixels_are_unknown_and_the_mask_comes_back(image, seed):
    mask = np.random.default_rng(seed).uniform(size=image.shape) < 0.3
    hidden = np.nan if image.dtype.kind == "f" else 7
    masked = np.ma.MaskedArray(np.where(mask, hidden, image).astype(image.dtype), mask, fill_value=5)
    planes, frame = open_image(masked)
    unknown = mask.any(axis=2) if mask.ndim == 3 else mask
    assert not planes[:, unknown].any()
    assert not (frame.known & unknown).any()
    closed = frame.close(1 - planes)
    assert isinstance(closed, np.ma.MaskedArray)
    assert np.array_equal(closed.mask, mask)
    np.testing.assert_array_equal(closed.data[mask], masked.data[mask])
    assert not np.shares_memory(closed.data, masked.data)
    assert closed.fill_value == masked.fill_value
    assert closed.dtype == image.dtype


@pytest.mark.parametrize("dtype", [np.uint8, *FLOATS])
def test_the_fill_value_of_a_masked_array_comes_back_without_a_warning(dtype):
    for fill_value in (None, 1):
        image = np.ma.MaskedArray(np.zeros((4, 5), dtype), np.eye(4, 5), fill_value=fill_value)
        planes, frame = open_image(image)
        with warnings.catch_warnings(action="error"):
            result = frame.close(planes)
        assert result.fill_value == image.fill_value


def test_a_masked_array_without_a_mask_is_wholly_known():
    assert open_image(np.ma.MaskedArray(np.zeros((3, 4), np.uint8)))[1].known is None


@given(arrays(), st.integers(0, 99))
def test_kept_pixels_get_the_values_of_the_input(image, seed):
    kept = np.random.default_rng(seed).uniform(size=image.shape[:2]) < 0.5
    planes, frame = open_image(image)
    closed = frame.close(1 - planes, kept)
    assert np.array_equal(closed[kept], image[kept])


@given(arrays())
def test_a_copy_is_the_image_itself_once_more(image):
    again = open_image(image)[1].copy()
    assert again is not image
    assert np.array_equal(again, image, equal_nan=image.dtype.kind == "f")


def test_the_copy_of_a_file_has_the_same_bytes():
    stream = io.BytesIO()
    Image.fromarray(np.full((9, 8), 90, np.uint8)).save(stream, "JPEG", quality=40)
    assert open_image(stream.getvalue())[1].copy() == stream.getvalue()


@pytest.mark.parametrize(
    "image",
    [
        np.arange(48, dtype=np.uint8).reshape(4, 12)[::-1, ::2],
        np.asfortranarray(np.arange(60, dtype=np.uint16).reshape(4, 5, 3)),
        np.arange(20, dtype=">u2").reshape(4, 5),
        np.broadcast_to(np.float32(0.5), (3, 4)),
    ],
    ids=["strided", "fortran", "big-endian", "read-only"],
)
def test_any_memory_layout(image):
    planes, frame = open_image(image)
    closed = frame.close(planes)
    assert closed.dtype == image.dtype
    assert np.array_equal(closed, image)
    assert closed.flags.writeable


class Labelled(np.ndarray):
    """An array that hands what it says of itself to what is made of it."""

    label = ""

    def __array_finalize__(self, other):
        self.label = getattr(other, "label", "")


@pytest.mark.parametrize("make", [np.matrix, lambda pixels: pixels.view(Labelled)], ids=["matrix", "subclass"])
def test_a_subclass_of_arrays_comes_back_as_one(make):
    image = make(np.arange(12, dtype=np.uint8).reshape(3, 4))
    if isinstance(image, Labelled):
        image.label = "kept"
    planes, frame = open_image(image)
    assert type(planes) is np.ndarray
    for back in (frame.close(planes), frame.copy()):
        assert type(back) is type(image)
        assert np.array_equal(back, image)
        assert not np.shares_memory(back, image)
        assert getattr(back, "label", "") == getattr(image, "label", "")


def test_of_a_memory_map_an_array_in_memory_comes_back(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.save(tmp_path / "pixels.npy", pixels)
    planes, frame = open_image(np.load(tmp_path / "pixels.npy", mmap_mode="r"))
    for back in (frame.close(planes), frame.copy()):
        assert type(back) is np.ndarray
        assert np.array_equal(back, pixels)
        assert back.flags.writeable


@given(arrays(dtypes=(np.uint8, np.float16, np.float32)))
def test_a_torch_tensor_comes_back_as_one(torch, image):
    tensor = torch.from_numpy(image)
    planes, frame = open_image(tensor)
    assert isinstance(planes, np.ndarray)
    closed = frame.close(planes)
    assert isinstance(closed, torch.Tensor)
    assert closed.dtype == tensor.dtype
    assert is_back(closed.numpy(), image, frame)


MODES = {"L": np.uint8, "LA": np.uint8, "RGB": np.uint8, "RGBA": np.uint8, "I;16": np.uint16, "F": np.float32}


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_keeps_mode_size_and_info(mode, rng):
    channels = [c for c in (len(mode),) if mode in ("LA", "RGB", "RGBA")]
    values = rng.random((5, 7, *channels), np.float32)
    pixels = values if mode == "F" else (values * np.iinfo(MODES[mode]).max).astype(MODES[mode])
    image = Image.fromarray(pixels)
    assert image.mode == mode
    image.info = {"icc_profile": b"profile", "exif": b"Exif\0\0...", "dpi": (300, 300)}
    planes, frame = open_image(image)
    closed = frame.close(planes)
    assert isinstance(closed, Image.Image)
    assert (closed.mode, closed.size, closed.info) == (mode, image.size, image.info)
    assert np.array_equal(np.asarray(closed), pixels)


def test_a_pil_image_stays_as_it_is_stored_and_keeps_its_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif)
    image = Image.open(buffer)
    planes, frame = open_image(image)
    closed = frame.close(planes)
    assert closed.size == (8, 4)
    assert closed.getexif()[0x0112] == 6


@pytest.mark.parametrize("mode", ["1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "I", "RGBX", "RGBa", "La"])
def test_a_pil_image_of_another_mode_is_refused(mode):
    with pytest.raises(UnsupportedType, match=rf"{mode} .*image\.convert\('RGB'\)"):
        open_image(Image.new(mode, (4, 3)))


def test_a_truncated_pil_image_is_refused(rng):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    image = Image.open(io.BytesIO(buffer.getvalue()[:2000]))
    with pytest.raises(InvalidImage, match="intact copy"):
        open_image(image)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_encoded_bytes_come_back_encoded_alike(format, rng):
    pixels = rng.integers(0, 256, (5, 7, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    planes, frame = open_image(buffer.getvalue())
    closed = frame.close(planes)
    assert isinstance(closed, bytes)
    assert Image.open(io.BytesIO(closed)).format == format
    assert np.array_equal(decode(closed)[0], pixels)


REFUSED = {
    "bool": (np.zeros((4, 5), bool), UnsupportedType, "convert to uint8"),
    "int32": (np.zeros((4, 5), np.int32), UnsupportedType, "convert to uint8"),
    "int64": (np.zeros((4, 5), np.int64), UnsupportedType, "convert to uint8"),
    "complex": (np.zeros((4, 5), np.complex64), UnsupportedType, "convert to uint8"),
    "long double": (np.zeros((4, 5), np.longdouble), UnsupportedType, "convert to uint8"),
    "object": (np.zeros((4, 5), object), UnsupportedType, "convert to uint8"),
    "path": ("photo.png", UnsupportedType, "bytes of an image file"),
    "list": ([[0.5]], UnsupportedType, "give a numpy"),
    "none": (None, UnsupportedType, "give a numpy"),
    "scalar": (np.array(0.5, np.float32), InvalidImage, "give one image"),
    "row": (np.zeros(5, np.uint8), InvalidImage, "give one image"),
    "batch": (np.zeros((2, 4, 5, 3), np.uint8), InvalidImage, "give one image"),
    "empty": (np.zeros((0, 5), np.uint8), InvalidImage, "at least one pixel"),
    "no channels": (np.zeros((4, 5, 0), np.uint8), InvalidImage, "at least one pixel"),
    "five channels": (np.zeros((9, 9, 5), np.uint8), InvalidImage, "keep grey"),
    "channels first": (np.zeros((3, 40, 50), np.uint8), InvalidImage, r"transpose\(1, 2, 0\)"),
    "NaN": (np.array([[0.5, np.nan]]), InvalidImage, "nan_to_num"),
    "infinite": (np.array([[0.5, -np.inf]], np.float16), InvalidImage, "nan_to_num"),
    "beyond float32": (np.array([[0.5, 1e300]]), InvalidImage, "too large"),
    "a sum of which is beyond float32": (np.full((2, 2), -2e38, np.float32), InvalidImage, "too large"),
    "class": (np.ndarray, UnsupportedType, "the class ndarray is no image, only its instances are: give a numpy"),
    "no bytes": (b"", InvalidImage, "convert it"),
    "text": (b"not an image at all", InvalidImage, "convert it"),
}


@pytest.mark.parametrize(("image", "error", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_image_is_refused_in_one_line(image, error, remedy):
    with pytest.raises(error, match=remedy) as caught:
        open_image(image)
    assert isinstance(caught.value, DeblurError)
    assert "\n" not in str(caught.value)


def test_planes_of_another_shape_do_not_close():
    _, frame = open_image(np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(InvalidArgument, match=r"give \(3, 4, 5\)"):
        frame.close(np.zeros((4, 4, 5), np.float32))


def test_luminance_is_that_of_pillow(rng):
    image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    luma = luminance(open_image(image)[0])
    assert luma.dtype == np.float32
    assert luma.flags.c_contiguous
    assert np.abs(luma * 255 - np.asarray(image.convert("L"))).max() < 0.51


def test_luminance_of_one_plane_is_that_plane(rng):
    planes = rng.random((1, 4, 5), np.float32)
    assert np.shares_memory(luminance(planes), planes)
    assert np.array_equal(luminance(planes), planes[0])


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5), (4, 4, 5)])
def test_luminance_of_other_shapes_is_refused(shape):
    with pytest.raises(InvalidArgument, match=r"give \(1, H, W\) or \(3, H, W\)"):
        luminance(np.zeros(shape, np.float32))


@pytest.mark.gpu
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_a_gpu_array_stays_on_the_gpu(dtype, channels, rng):
    import cupy

    values = rng.random((6, 7, *channels), np.float32)
    host = (values * np.iinfo(dtype).max).astype(dtype) if dtype in INTEGERS else values.astype(dtype)
    image = cupy.asarray(host)
    planes, frame = open_image(image)
    assert isinstance(planes, cupy.ndarray)
    assert planes.flags.c_contiguous
    assert np.array_equal(cupy.asnumpy(planes), open_image(host)[0])
    assert np.allclose(cupy.asnumpy(luminance(planes)), luminance(open_image(host)[0]), atol=1e-6)
    closed = frame.close(planes)
    assert isinstance(closed, cupy.ndarray)
    assert closed.dtype == dtype
    assert np.array_equal(cupy.asnumpy(closed), host)


@pytest.mark.gpu
def test_a_cuda_tensor_stays_on_the_gpu(torch):
    import cupy

    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    tensor = torch.rand(6, 7, 4, device="cuda")
    planes, frame = open_image(tensor)
    assert isinstance(planes, cupy.ndarray)
    closed = frame.close(planes)
    assert closed.device == tensor.device
    assert torch.equal(closed, tensor)
