import numpy as np
import pytest

from runtime.errors import UnsupportedType
from runtime.images import dlpack, open_image


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_a_tensor_shares_its_memory(torch):
    tensor = torch.zeros(4, 5)
    pixels, produce = dlpack.pixels_of(tensor), dlpack.producer(tensor)
    pixels[1, 2] = 1
    assert tensor[1, 2] == 1
    assert torch.equal(produce(pixels), tensor)


def test_any_array_that_names_its_namespace_comes_back():
    class Wrapped:
        """An array of a library that follows the array API standard."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

        def __array_namespace__(self):
            return Wrapped

        @staticmethod
        def from_dlpack(array):
            return Wrapped(np.from_dlpack(array))

    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    planes, frame = open_image(Wrapped(image))
    closed = frame.close(planes)
    assert isinstance(closed, Wrapped)
    assert np.array_equal(closed.array, image)


def test_an_array_whose_library_cannot_read_dlpack_is_refused():
    class Orphan:
        __module__ = "json"

        def __dlpack__(self, **options):
            return np.zeros((4, 5)).__dlpack__(**options)

        def __dlpack_device__(self):
            return (1, 0)

    with pytest.raises(UnsupportedType, match="numpy array"):
        open_image(Orphan())


REFUSED_TENSORS = {
    "grad": (lambda torch: torch.rand(4, 5, requires_grad=True), "detach"),
    "bfloat16": (lambda torch: torch.rand(4, 5).bfloat16(), "dtype that numpy has"),
    "sparse": (lambda torch: torch.rand(4, 5).to_sparse(), "dense"),
    "meta": (lambda torch: torch.rand(4, 5, device="meta"), "DLPack"),
}


@pytest.mark.parametrize(("make", "remedy"), REFUSED_TENSORS.values(), ids=REFUSED_TENSORS)
def test_a_tensor_that_cannot_be_shared_is_refused(torch, make, remedy):
    with pytest.raises(UnsupportedType, match=remedy):
        open_image(make(torch))


def test_a_class_of_tensors_is_no_tensor(torch):
    with pytest.raises(UnsupportedType, match="the class Tensor is no image, only its instances are"):
        open_image(torch.Tensor)
