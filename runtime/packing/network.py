"""An ONNX network that is to be packed: what it takes and gives, and trials of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cancellation import checkpoint
from runtime.arguments import shown
from runtime.errors import InvalidModel
from runtime.inference.bundle import LARGEST_FILE, MANIFEST, Part, PatchGeometry, TensorSpec
from runtime.inference.devices import CPU
from runtime.inference.graphs import TYPES, first_line, load_graph
from runtime.inference.onnx_files import opset_of, stored_outside
from runtime.inference.onnx_runtime import load_onnxruntime
from runtime.inference.planes import PixelAssumptions, PlanesModel
from runtime.inference.session import Session, is_out_of_memory

_MEND = "export the network again"
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Network:
    """A network from patches to patches that has been loaded, on the CPU.

    Attributes
    ----------
    graph
        Its file.
    outside
        Names of the files beside it in which its tensors are stored.
    session
        ONNX Runtime's session.
    opset
        Version of the operators that it is written for.
    taken, given
        Names of the input and the output.
    type, given_type
        Their types, ``"float32"`` or ``"float16"``.
    batch, channels, side
        Sizes of the input; ``None`` if it takes any.
    """

    graph: Path
    outside: tuple[str, ...]
    session: Any
    opset: int
    taken: str
    given: str
    type: str
    given_type: str
    batch: int | None
    channels: int | None
    side: int | None

    @property
    def precision(self) -> str:
        """``"fp32"`` or ``"fp16"``, by the type of the input."""
        return "fp16" if self.type == "float16" else "fp32"

    def attempt(self, batch: int, channels: int, side: int) -> tuple[int, ...] | str:
        """Run the network on noise; return the shape that it gives, or why it fails in one line."""
        checkpoint()
        noise = np.random.default_rng(0).random((batch, channels, side, side), np.float32).astype(self.type)
        options = load_onnxruntime().RunOptions()
        options.log_severity_level = 4  # what fails is told once, by an error
        try:
            (given,) = self.session.run([self.given], {self.taken: noise}, options)
        except Exception as error:
            if is_out_of_memory(error) or not type(error).__module__.startswith("onnxruntime"):
                raise
            return first_line(error)
        return tuple(given.shape)

    def part(self, side: int, trim: int, batch: int | None, channels: int) -> Part:
        """Describe the network for patches of one size, as a bundle does."""
        first = "batch" if batch is None else batch
        left = side - 2 * trim
        return Part(
            name="network",
            graphs={self.precision: self.graph},
            opset=self.opset,
            inputs=(TensorSpec(self.taken, self.type, (first, channels, side, side)),),
            outputs=(TensorSpec(self.given, self.given_type, (first, channels, left, left)),),
            parity={},
        )

    def model(self, geometry: PatchGeometry, trim: int, batch: int | None, pixels: PixelAssumptions) -> PlanesModel:
        """Return the network as a model in the units of photographs, for patches of one size."""
        part = self.part(geometry.size, trim, batch, pixels.channels)
        session = Session(part, device=CPU, precision=self.precision, session=self.session)
        return PlanesModel(session, geometry, pixels)


def open_network(graph: Path) -> Network:
    """Load a network, and check that it is one from patches to patches by what it says of itself.

    Raises
    ------
    InvalidModel
        If it is not; the message says in one line what to change.
    """
    outside = _files_beside(graph)
    session = load_graph(graph, CPU, _MEND)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        names = ", ".join(shown(node.name) for node in inputs) or "none"
        raise InvalidModel(
            f"{graph}: has {len(inputs)} inputs ({names}): a network from patches to patches has one; make the others "
            "constants of the graph"
        )
    if len(outputs) != 1:
        names = ", ".join(shown(node.name) for node in outputs) or "none"
        raise InvalidModel(
            f"{graph}: has {len(outputs)} outputs ({names}): a network from patches to patches has one; export the one "
            "that is the restored patch"
        )
    (taken,), (given,) = inputs, outputs
    types = [TYPES.get(node.type, node.type) for node in (taken, given)]
    if not set(types) <= {"float32", "float16"}:
        raise InvalidModel(
            f"{graph}: takes {types[0]} and gives {types[1]}: needed is float32 or float16; cast inside the graph"
        )
    shape = [size if isinstance(size, int) and size > 0 else None for size in taken.shape]
    _check_axes(graph, shape, list(given.shape), list(taken.shape))
    if shape[2] != shape[3]:
        raise InvalidModel(
            f"{graph}: takes {shown(list(taken.shape))}: height and width must be equal or free; {_MEND} so"
        )
    return Network(
        graph=graph,
        outside=tuple(sorted(outside)),
        session=session,
        opset=opset_of(graph),
        taken=taken.name,
        given=given.name,
        type=types[0],
        given_type=types[1],
        batch=shape[0],
        channels=shape[1],
        side=shape[2],
    )


def sample(planes: int, side: int) -> npt.NDArray[np.float32]:
    """Return a square of a photograph, float32 ``(planes, side, side)`` in [0, 1], mirrored where it ends."""
    from importlib import resources

    from runtime.colour import luminance
    from runtime.images import decode

    pixels, _ = decode(resources.files("runtime").joinpath("samples", "astronaut.jpg").read_bytes())
    photograph = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / 255
    if planes == 1:
        photograph = luminance(photograph)[None]
    more = max(0, side - photograph.shape[1])
    while photograph.shape[1] < side:
        step = min(more, photograph.shape[1])
        photograph = np.pad(photograph, ((0, 0), (0, step), (0, step)), mode="symmetric")
        more -= step
    return np.ascontiguousarray(photograph[:, :side, :side])


def _files_beside(graph: Path) -> set[str]:
    """Return the names of the files in which the tensors of a graph are stored, after a look at each."""
    if not graph.is_file():
        raise InvalidModel(f"{graph}: is no file; give the ONNX file of a network")
    try:
        _check_size(graph)
        outside = stored_outside(graph)
        for name in outside:
            if Path(name).name != name or name in ("", MANIFEST):
                raise InvalidModel(
                    f"{graph}: stores tensors in {shown(name)}, which is not beside it; save it with its tensors "
                    "inside, or in one file in the same folder"
                )
            if not (graph.parent / name).is_file():
                raise InvalidModel(f"{graph}: stores tensors in {shown(name)}, which is missing; copy it there")
            _check_size(graph.parent / name)
    except OSError as error:
        raise InvalidModel(f"{graph}: cannot be read ({error.strerror}); check the file and its permissions") from error
    return outside


def _check_size(file: Path) -> None:
    if file.stat().st_size > LARGEST_FILE:
        raise InvalidModel(
            f"{file}: is larger than {LARGEST_FILE} bytes, the most that a file of a bundle may have; export the "
            "weights in half precision, or divided among several files"
        )


def _check_axes(graph: Path, shape: list[int | None], given: list[Any], written: list[Any]) -> None:
    """Raise an error unless the axes are those of a batch, channels, rows and columns."""
    if len(shape) != 4 or len(given) not in (0, 4):
        raise InvalidModel(
            f"{graph}: takes {shown(written)} and gives {shown(given)}: needed are four axes, (batch, channels, "
            "height, width); add the missing one inside the graph"
        )
    if shape[1] in _CHANNELS:
        return
    if shape[3] in _CHANNELS:
        raise InvalidModel(
            f"{graph}: takes {shown(written)}, its channels last: needed is (batch, channels, height, width); "
            "transpose at both ends of the graph (tf2onnx: --inputs-as-nchw, --outputs-as-nchw)"
        )
    if shape[1] is None:
        return
    raise InvalidModel(
        f"{graph}: takes {shape[1]} channels: needed are 1 (grey) or 3 (colour); make the others, such as a map of the "
        "noise, constants of the graph"
    )
