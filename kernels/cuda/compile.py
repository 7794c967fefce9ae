"""Compiles the CUDA sources ahead of time: ``python -m kernels.cuda.compile``, after a change of a source.

``binaries/`` holds a fat binary of each source: machine code for several generations of GPUs, and PTX for all others.
Its name has a digest of the source and of how it was compiled, so that none is taken for a source that has changed
since: `kernels.cuda._module` compiles such a source when it is first used, which takes seconds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from kernels.cuda._module import BINARY_OPTIONS, RELEASE, binary, source

FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("*.cu"))
"""The families that have a CUDA source."""

_CHECKS = ("--Werror", "all-warnings", "--ptxas-options=--warn-on-spills")
"""A warning, and a register that spills, is an error."""


def find_compiler() -> str:
    """Return the path of ``nvcc`` of the release that the binaries are made with.

    Raises
    ------
    RuntimeError
        If there is none on the ``PATH``, or of another release.
    """
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        raise RuntimeError(f"no nvcc on the PATH: install CUDA {RELEASE} and add its bin/ to the PATH")
    words = subprocess.run([nvcc, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"release ([\d.]+)", words)
    if found is None or found[1] != RELEASE:
        raise RuntimeError(f"{nvcc} is of release {found[1] if found else '?'}: put nvcc of CUDA {RELEASE} on the PATH")
    return nvcc


def compile_binary(family: str, nvcc: str) -> bytes:
    """Return the fat binary of ``<family>.cu``, the same bytes whenever and wherever it is compiled.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    nvcc
        From `find_compiler`.

    Raises
    ------
    RuntimeError
        If the compiler refuses the source or warns, with its words.
    """
    with tempfile.TemporaryDirectory() as folder:
        # The binary has the names of files in it: relative ones are the same everywhere.
        Path(folder, f"{family}.cu").write_text(source(family), encoding="utf-8")
        command = [nvcc, "--fatbin", *BINARY_OPTIONS, *_CHECKS, f"--output-file={family}.fatbin", f"{family}.cu"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0 or done.stdout or done.stderr:
            raise RuntimeError(f"{family}.cu does not compile cleanly:\n{done.stdout}{done.stderr}")
        return Path(folder, f"{family}.fatbin").read_bytes()


def main() -> None:
    """Compile what has changed, and remove what no longer belongs to a source."""
    nvcc, wanted = find_compiler(), {family: binary(family) for family in FAMILIES}
    folder = next(iter(wanted.values())).parent
    folder.mkdir(exist_ok=True)
    for family, path in wanted.items():
        if not path.exists():
            path.write_bytes(compile_binary(family, nvcc))
            print(path.name)
    for path in set(folder.iterdir()) - set(wanted.values()):
        path.unlink()


if __name__ == "__main__":
    main()
