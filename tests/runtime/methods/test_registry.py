from typing import ClassVar

import pytest

from runtime.contract import BurstMethod, Method
from runtime.errors import InvalidArgument, InvalidModel
from runtime.inference.bundle import list_models, load_model
from runtime.inference.devices import CPU
from runtime.methods import registry
from runtime.methods.registry import METHODS, check_options, create_method, expects_blur
from runtime.options import BurstOptions, Options
from tests.support.models import write_patch_bundle


def created(bundle):
    return create_method(bundle, device=CPU, precision="auto", batch=None)


SHIPPED = [bundle for bundle in list_models() if bundle.method in METHODS]


@pytest.mark.parametrize("bundle", SHIPPED, ids=[bundle.name for bundle in SHIPPED])
def test_every_shipped_model_has_a_method_that_supports_existing_options(bundle):
    method = created(bundle)
    options = Options if isinstance(method, Method) else BurstOptions
    assert isinstance(method, (Method, BurstMethod))
    assert method.supported_options
    assert method.supported_options <= set(options.__dataclass_fields__)


def test_the_papers_methods_are_shipped():
    assert {bundle.method for bundle in SHIPPED} >= {"chakrabarti", "eboli", "fba", "wieschollek"}


def test_methods_expect_blur_unless_they_say_otherwise():
    assert {bundle.method for bundle in SHIPPED if not expects_blur(created(bundle))} == set()


def test_a_bundle_of_another_method_is_refused_and_the_methods_are_named(tmp_path):
    with pytest.raises(InvalidModel, match=r"use one of: .*chakrabarti"):
        created(write_patch_bundle(tmp_path / "odd", "filters", method="magic"))


@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("chakrabarti", Options(quality="fast", stride=4, nonblind="wiener", support=31, noise=0.1), None),
        ("eboli", Options(neural=False), "neural=False is no option of eboli"),
        ("wieschollek", BurstOptions(patch=64), "patch=64 is no option of wieschollek"),
        ("fba", BurstOptions(chroma="fba"), "its options: p, patch, smoothing, stride"),
        ("fba", BurstOptions(p=3.0, patch=64, stride=9, smoothing=0.1), None),
    ],
)
def test_options_that_a_method_does_not_support_are_refused(name, options, refused):
    method = created(load_model(name))
    if refused is None:
        check_options(name, method, options)
    else:
        with pytest.raises(InvalidArgument, match=refused):
            check_options(name, method, options)


class Toy:
    """A class without a method to restore images."""

    supported_options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, bundle, *, device, precision, batch):
        pass


def test_a_class_that_restores_nothing_is_no_method(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.METHODS, "toy", f"{__name__}:Toy")
    monkeypatch.setattr(registry, "import_module", lambda name: type("module", (), {"Toy": Toy}))
    with pytest.raises(InvalidModel, match="must have restore or restore_burst"):
        created(write_patch_bundle(tmp_path / "toy", "filters", method="toy"))
