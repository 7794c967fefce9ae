"""What holds for all operation families."""

import ast
import inspect
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import kernels

FOLDER = Path(kernels.__file__).parent
FAMILIES = sorted(path.stem for path in FOLDER.joinpath("reference").glob("[!_]*.py"))
WITHOUT_CUDA_SOURCE = {"transforms"}
"""Families whose CUDA face calls CuPy alone: whole-array operations and cuFFT."""


def functions(module):
    return {
        name: inspect.signature(value)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def test_there_are_families():
    assert {"patches", "patch_filters", "burst"} <= set(FAMILIES)


@pytest.mark.parametrize("face", ["kernels.reference", "kernels.cpu", "kernels.cuda"])
@pytest.mark.parametrize("family", FAMILIES)
def test_signatures_are_those_of_the_public_face(family, face):
    assert functions(import_module(f"{face}.{family}")) == functions(import_module(f"kernels.{family}"))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_cuda_source_unless_it_is_whole_array_operations(family):
    assert FOLDER.joinpath("cuda", f"{family}.cu").is_file() == (family not in WITHOUT_CUDA_SOURCE)


def imported_by(path):
    """Every name that a module imports anywhere, also within functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def test_no_module_imports_itself_through_others():
    paths = {".".join(path.relative_to(FOLDER.parent).with_suffix("").parts): path for path in FOLDER.rglob("*.py")}
    imports = {name: {other for other in imported_by(path) if other in paths} for name, path in paths.items()}
    assert "kernels.patches" in imports["kernels.cpu.patches"]
    TopologicalSorter(imports).prepare()  # raises a CycleError that names the modules


def test_importing_the_public_faces_loads_nothing_heavy():
    imports = "; ".join(f"import kernels.{family}" for family in FAMILIES)
    report = "print(*sys.modules.keys() & {'numba', 'llvmlite', 'cupy', 'scipy', 'torch', 'onnxruntime'})"
    command = [sys.executable, "-c", f"import sys; {imports}; {report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    assert done.stdout.split() == []
