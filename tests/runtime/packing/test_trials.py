import pytest

from runtime.errors import InvalidModel
from runtime.inference.planes import PixelAssumptions
from runtime.packing.network import open_network
from runtime.packing.trials import choose_colour, find_sizes, takes_batches
from tests.support.networks import write_network


@pytest.fixture
def network(tmp_path):
    def make(does="identity", **options):
        return open_network(write_network(tmp_path / "network.onnx", does, **options))

    return make


@pytest.mark.parametrize(
    ("does", "options", "multiple", "trim"),
    [
        ("identity", {}, 1, 0),
        ("mean", {"channels": 1}, 1, 0),
        ("mean-inside", {}, 1, 2),
        ("halves", {}, 2, 0),
        ("identity", {"sizes": (1, 48, 48)}, 48, 0),
        ("mean-inside", {"sizes": ("n", 48, 48)}, 48, 2),
    ],
)
def test_the_sizes_that_a_network_takes_are_found(network, does, options, multiple, trim):
    sizes = find_sizes(network(does, **options), options.get("channels", 3), None)
    assert (sizes.multiple, sizes.trim) == (multiple, trim)
    assert all(side % multiple == 0 for side in sizes.tried)


def test_a_size_that_is_asked_for_is_tried(network):
    assert 100 in find_sizes(network(), 3, 100).tried
    with pytest.raises(InvalidModel, match=r"fails with 99 pixels.*give another size"):
        find_sizes(network("halves"), 3, 99)
    with pytest.raises(InvalidModel, match="takes patches of 48 pixels only"):
        find_sizes(network(sizes=(1, 48, 48)), 3, 64)


def test_a_network_of_one_size_that_does_not_say_so_takes_that_one(network, monkeypatch):
    made = network()
    attempt = type(made).attempt

    def picky(self, batch, channels, side):
        return attempt(self, batch, channels, side) if side == 100 else "the shape is another"

    monkeypatch.setattr(type(made), "attempt", picky)
    sizes = find_sizes(made, 3, 100)
    assert (sizes.multiple, sizes.tried, sizes.fixed) == (100, (100,), True)
    with pytest.raises(
        InvalidModel, match=r"none of the sizes that were tried \(with 288 pixels: the shape is another\)"
    ):
        find_sizes(made, 3, None)


@pytest.mark.parametrize(("does", "what"), [("enlarged", "enlarges"), ("smaller", "makes smaller")])
@pytest.mark.parametrize("sizes", [("n", "h", "w"), (1, 32, 32)])
def test_a_network_that_changes_the_scale_is_refused(network, does, what, sizes):
    with pytest.raises(InvalidModel, match=f"a network that {what} cannot be packed"):
        find_sizes(network(does, sizes=sizes), 3, None)


def test_a_network_of_other_channels_at_the_end_is_refused(network, monkeypatch):
    made = network()
    monkeypatch.setattr(type(made), "attempt", lambda self, batch, channels, side: (batch, 1, side, side))
    with pytest.raises(InvalidModel, match="needed is a patch of the same batch and channels"):
        find_sizes(made, 3, None)


def test_the_colour_follows_from_the_channels(network):
    assert choose_colour(network(), None) == "rgb"
    assert choose_colour(network(), "bgr") == "bgr"
    assert choose_colour(network(channels=1), None) == "grey"
    assert choose_colour(network(channels=1), "y") == "y"
    assert choose_colour(network(channels="c"), "y") == "y"
    with pytest.raises(InvalidModel, match="takes 3 channels, and grey has 1; give the colour rgb or bgr"):
        choose_colour(network(), "grey")


@pytest.mark.parametrize(
    ("does", "options", "any_batch"),
    [
        ("mean", {}, True),
        ("mean", {"dtype": "float16"}, True),
        ("mean", {"sizes": (1, "h", "w")}, False),
        ("without-mean", {}, True),
        ("without-mean-of-batch", {}, False),
    ],
)
def test_a_network_takes_batches_if_patches_do_not_change_each_other(network, does, options, any_batch):
    made = network(does, **options)
    assert takes_batches(made, find_sizes(made, 3, None), 48, PixelAssumptions()) is any_batch
