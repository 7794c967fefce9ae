"""Estimates that are coroutines, for tests that want their results at once."""

from functools import wraps

from runtime.estimation.parallel import completed


def ended(begin):
    """The function that begins a job, ends it too, and returns its result."""
    return wraps(begin)(lambda *arguments, **options: completed(begin(*arguments, **options)))


def begun(function):
    """A function that begins a job of what another one does, to take the place of one that does."""

    async def job(*arguments, **options):
        return function(*arguments, **options)

    return job
