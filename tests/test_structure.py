"""How the code is laid out: no import circles, small folders and modules, a test module for each."""

import ast
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "export", "kernels", "runtime")
MOST_LINES = 400
MOST_MODULES = 16
WIDE_FOLDERS = {"kernels": 20, "tests/kernels": 20}
"""The public modules of `kernels` are a flat list, one for each family of operations."""
KERNEL_FACES = ("kernels/cpu", "kernels/cuda", "kernels/reference")
"""Implementations of a family, tested against each other by the one test module of the family."""


def modules_of(root):
    """All modules below `root` that belong to the four packages, by dotted name."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports_of(name, file, modules):
    """The modules of ours that one module imports, anywhere in its code.

    Python runs the `__init__` of a package before its modules; that is no import, or every package that gives its
    modules' names again would be a circle.
    """
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
                source = ".".join([*package[: len(package) - node.level + 1], *([source] if source else [])])
            submodules = {f"{source}.{alias.name}" for alias in node.names}
            found.update(submodules & set(modules) or {source})
            # Names beside the submodules come from the package itself.
            if submodules - set(modules):
                found.add(source)
    return (found & set(modules)) - {name}


def circles_in(graph):
    """The strongly connected components of more than one node (Tarjan 1972), each sorted."""
    order, lowest, stack, circles = {}, {}, [], []

    def visit(node):
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
            if target in stack:
                lowest[node] = min(lowest[node], lowest[target])
        if lowest[node] == order[node]:
            start = stack.index(node)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                circles.append(sorted(component))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return circles


def shortest_loop(graph, circle):
    """A shortest chain of imports within a circle that ends where it began, to start untangling with."""
    loops = []
    for start in circle:
        chains = [[start]]
        seen = set()
        for chain in chains:
            if start in graph[chain[-1]]:
                loops.append([*chain, start])
                break
            new = sorted(graph[chain[-1]] & set(circle) - seen)
            seen.update(new)
            chains += [[*chain, target] for target in new]
    return min(loops, key=len)


def import_graph(root):
    modules = modules_of(root)
    return {name: imports_of(name, file, modules) for name, file in modules.items()}


def test_no_modules_import_each_other_in_a_circle():
    graph = import_graph(ROOT)
    found = [f"{', '.join(circle)}: {' -> '.join(shortest_loop(graph, circle))}" for circle in circles_in(graph)]
    assert not found, "import circles, each with a shortest loop:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("files", "circles"),
    [
        ({"bench/a.py": "import bench.b", "bench/b.py": "import bench.c", "bench/c.py": ""}, []),
        ({"bench/a.py": "import bench.b", "bench/b.py": "def f():\n    from bench import a"}, [["bench.a", "bench.b"]]),
        (
            {"bench/a.py": "from bench.b import x", "bench/b.py": "if TYPE_CHECKING:\n    from bench.a import y"},
            [["bench.a", "bench.b"]],
        ),
        (
            {"bench/a.py": "import bench.b", "bench/b.py": "import bench.c", "bench/c.py": "import bench.a"},
            [["bench.a", "bench.b", "bench.c"]],
        ),
        ({"bench/a.py": "from . import b", "bench/b.py": "from .a import x"}, [["bench.a", "bench.b"]]),
        ({"bench/__init__.py": "from bench.a import x", "bench/a.py": "from bench import x"}, [["bench", "bench.a"]]),
        ({"bench/__init__.py": "from bench.a import x", "bench/a.py": "import bench.b", "bench/b.py": ""}, []),
    ],
)
def test_circles_are_found(tmp_path, files, circles):
    for name, content in {"bench/__init__.py": "", **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    graph = import_graph(tmp_path)
    assert circles_in(graph) == circles
    for circle in circles:
        assert set(shortest_loop(graph, circle)) <= set(circle)


def test_no_folder_holds_too_many_modules():
    counts = {}
    for file in [*modules_of(ROOT).values(), *(ROOT / "tests").rglob("*.py")]:
        if file.stem not in ("__init__", "__main__", "conftest"):
            folder = file.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    crowded = {folder: count for folder, count in counts.items() if count > WIDE_FOLDERS.get(folder, MOST_MODULES)}
    assert not crowded


def test_no_module_is_too_long():
    files = [*modules_of(ROOT).values(), *(ROOT / "tests").rglob("*.py")]
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def is_tested(module):
    """Whether a module, relative to the root, has a test module at the same place below `tests/`, or its family has."""
    folders = [module.parent, *([Path("kernels")] if module.parent.as_posix() in KERNEL_FACES else [])]
    return any((ROOT / "tests" / folder / f"test_{module.stem}.py").is_file() for folder in folders)


def test_every_module_has_a_test_module():
    modules = [file.relative_to(ROOT) for file in modules_of(ROOT).values()]
    tested = [module for module in modules if module.stem not in ("__init__", "__main__")]
    missing = [module.as_posix() for module in tested if not is_tested(module)]
    assert not missing, "without a test module: " + ", ".join(missing)


def test_the_oldest_dependencies_that_are_tested_are_those_declared():
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    requirements = [Requirement(text) for text in project()["dependencies"] + project()["optional-dependencies"]["cpu"]]
    declared = {wanted.name: next(iter(wanted.specifier)) for wanted in requirements}
    assert set(tested) == set(declared)
    for name, specifier in declared.items():
        assert specifier.operator == ">="
        # The oldest release of a series may have more digits: 4.10.0.84 is the first of 4.10.
        assert f"{tested[name]}.".startswith(f"{specifier.version}."), f"{name}: {tested[name]} is not {specifier}"


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
