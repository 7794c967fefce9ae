"""Why a request is not answered with a photograph."""

from __future__ import annotations

from runtime.errors import DeblurError

FAILED = "the photograph could not be restored: try other options, or another photograph"
"""The detail of an error that is no fault of the request; the cause is in the log of the service alone."""


class Refusal(DeblurError, RuntimeError):
    """A request is refused or has failed.

    Parameters
    ----------
    code
        For programs, such as ``"saturated"``; docs/service.md lists all.
    detail
        One sentence for people that says what to do.
    retry_after
        Seconds after which the same request may succeed, or ``None``.
    """

    def __init__(self, code: str, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
