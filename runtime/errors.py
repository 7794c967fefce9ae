"""The errors and warnings of this package: each is a `DeblurError` and the builtin that fits it.

Every message is one line that says what is wrong and how to mend it.
"""

from __future__ import annotations


class DeblurError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidArgument(DeblurError, ValueError):
    """An option or an array has a value that cannot be used."""


class InvalidImage(InvalidArgument):
    """An image is empty, unreadable, not finite, or of an unsupported shape."""


class UnsupportedType(DeblurError, TypeError):
    """An argument is of a type or dtype that cannot be used."""


class ImageFileError(DeblurError, OSError):
    """An image file cannot be read or written."""


class ModelNotFound(DeblurError, FileNotFoundError):
    """No bundle of that name or at that path."""


class InvalidModel(DeblurError, ValueError):
    """A bundle is incomplete, altered, of another format, or does not fit the method."""


class DeviceUnavailable(DeblurError, RuntimeError):
    """The requested device cannot be used; the message says why and what to install."""


class OutOfMemory(DeblurError, MemoryError):
    """The device ran out of memory with the smallest batch allowed."""


class MissingDependency(DeblurError, ImportError):
    """An optional package is not installed; the message names it."""


class FrameLeftOut(DeblurError, UserWarning):
    """A frame of a burst was left out; the message names it and says why."""
