"""The exceptions and warnings of this package; each also derives from the matching builtin, named in brackets.

::

    DeblurError [Exception]
    ├── InvalidArgument [ValueError]
    │   └── InvalidImage
    ├── UnsupportedType [TypeError]
    ├── ImageFileError [OSError]
    ├── ModelNotFound [FileNotFoundError]
    ├── InvalidModel [ValueError]
    ├── DeviceUnavailable [RuntimeError]
    ├── OutOfMemory [MemoryError]
    ├── MissingDependency [ImportError]
    ├── FrameLeftOut [UserWarning]
    └── MetadataLost [UserWarning]

Every message is one line that says what is wrong and how to fix it.
"""

from __future__ import annotations


class DeblurError(Exception):
    """Base class of all exceptions and warnings of this package."""


class InvalidArgument(DeblurError, ValueError):
    """An option or an array has an invalid value."""


class InvalidImage(InvalidArgument):
    """An image is empty, cannot be decoded, holds NaN or infinity, or has an unsupported shape."""


class UnsupportedType(DeblurError, TypeError):
    """An argument has an unsupported type or dtype."""


class ImageFileError(DeblurError, OSError):
    """An image file cannot be read or written."""


class ModelNotFound(DeblurError, FileNotFoundError):
    """There is no model bundle of that name or at that path."""


class InvalidModel(DeblurError, ValueError):
    """A model bundle is incomplete, altered, of another format version, or unsuited to the method."""


class DeviceUnavailable(DeblurError, RuntimeError):
    """The requested device cannot be used; the message names the reason and what to install."""


class OutOfMemory(DeblurError, MemoryError):
    """The memory does not suffice: for an image, or on a device even for the smallest batch allowed."""


class MissingDependency(DeblurError, ImportError):
    """An optional package is not installed; the message names it."""


class FrameLeftOut(DeblurError, UserWarning):
    """Warning: a frame of a burst was left out; the message names the frame and the reason."""


class MetadataLost(DeblurError, UserWarning):
    """Warning: a file is written without something that the original holds; the message names it."""
