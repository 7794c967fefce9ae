import numpy as np
import pytest

from runtime.inference.bundle import PatchGeometry
from runtime.inference.planes import PixelAssumptions
from runtime.packing.network import open_network, sample
from runtime.packing.reach import TOLERANCE, Probe, find_margin, measure_field, measure_seams
from runtime.packing.trials import find_sizes
from tests.support.networks import write_network

SIDE = 64


@pytest.fixture
def probe(tmp_path):
    def make(does, *, step=1, pixels=None, **options):
        network = open_network(write_network(tmp_path / "network.onnx", does, **options))
        pixels = pixels or PixelAssumptions()
        return Probe(network, find_sizes(network, pixels.channels, None), pixels, network.batch, step)

    return make


@pytest.mark.parametrize(
    ("does", "field"), [("identity", 0), ("nothing", 0), ("mean", 2), ("mean-inside", 2), ("without-mean", None)]
)
def test_the_receptive_field_is_measured(probe, does, field):
    assert measure_field(probe(does), SIDE) == field
    assert measure_field(probe(does, sizes=(1, SIDE, SIDE)), SIDE) == field


def test_the_receptive_field_of_a_network_that_skips_pixels_is_beyond_its_blocks(probe):
    assert measure_field(probe("halves", step=2), SIDE) == 0


@pytest.mark.parametrize("sizes", [("n", "h", "w"), (1, SIDE, SIDE)])
@pytest.mark.parametrize(("does", "margin"), [("identity", 0), ("mean", 2), ("mean-inside", 2), ("without-mean", None)])
def test_the_margin_is_where_the_surroundings_have_an_influence(probe, does, margin, sizes):
    """What is taken off the border belongs to the margin, though the surroundings have no influence on the rest."""
    assert find_margin(probe(does, sizes=sizes), SIDE) == margin


@pytest.mark.parametrize("does", ["mean", "mean-inside", "halves", "nothing"])
@pytest.mark.parametrize("pixels", [PixelAssumptions(), PixelAssumptions(colour="bgr", range=(0, 255))])
def test_there_are_no_seams_where_the_margin_suffices(probe, does, pixels):
    seams = measure_seams(probe(does, pixels=pixels, step=2), PatchGeometry(SIDE, SIDE - 8, 40))
    assert seams.against == "the whole image"
    assert seams.largest <= 2e-6


def test_seams_are_measured_where_it_does_not(probe):
    seams = measure_seams(probe("mean"), PatchGeometry(SIDE, SIDE, SIDE))
    assert seams.largest > TOLERANCE
    assert seams.mean < seams.largest
    beside = measure_seams(probe("mean", sizes=(1, SIDE, SIDE)), PatchGeometry(SIDE, SIDE, SIDE))
    assert beside.against == "neighbours"
    assert beside.largest > TOLERANCE
    enough = measure_seams(probe("mean", sizes=(1, SIDE, SIDE)), PatchGeometry(SIDE, SIDE - 4, SIDE - 8))
    assert enough.largest <= 2e-6


def test_the_whole_image_is_filled_up_to_what_the_network_takes(probe):
    assert measure_seams(probe("halves", step=1), PatchGeometry(SIDE, SIDE, 33)).largest > TOLERANCE
    assert measure_seams(probe("halves", step=1), PatchGeometry(SIDE, SIDE, 34)).largest <= 2e-6


def test_the_change_of_a_photograph_is_told(probe):
    geometry = PatchGeometry(SIDE, SIDE, SIDE)
    photograph = sample(3, 2 * SIDE)
    assert measure_seams(probe("identity"), geometry).change <= 1e-6
    expected = np.sqrt(np.mean(photograph**2))
    assert measure_seams(probe("nothing"), geometry).change == pytest.approx(expected, rel=1e-5)
    assert measure_seams(probe("nothing"), geometry).seconds > 0
