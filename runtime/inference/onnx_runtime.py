"""Loading of ONNX Runtime, the one place where it is imported.

ONNX Runtime 1.32 has telemetry, which starts when it is imported: it leaves an identifier of the device and a data base
of events in the user's cache folder. The environment variable ``ORT_DISABLE_TELEMETRY`` prevents this if it is set
before the import; `onnxruntime.disable_telemetry_events` comes too late.
"""

from __future__ import annotations

import os
from types import ModuleType

from runtime.errors import MissingDependency

TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
"""Environment variable that ONNX Runtime reads when it is imported."""


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, with its telemetry off unless the user has set ``ORT_DISABLE_TELEMETRY``.

    Raises
    ------
    MissingDependency
        If it is not installed, or cannot be imported.
    """
    os.environ.setdefault(TELEMETRY_SWITCH, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency(
            f"ONNX Runtime cannot be imported ({error}): pip install 'deblur-runtime[cpu]' or 'deblur-runtime[gpu]'"
        ) from error
    return onnxruntime  # type: ignore[no-any-return]
