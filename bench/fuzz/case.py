"""One case, its outcome, and the rule by which it is judged: a valid result, or a refusal in one line."""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from runtime.errors import DeblurError

RESULT, REFUSED, FAILED = "result", "refused", "failed"
"""Kinds of outcomes."""
_LONGEST_MESSAGE = 1000
"""Characters of the longest message that a person can be expected to read."""
_LONGEST_QUOTE = 300


class Broken(AssertionError):
    """What came back is not what the door promises; the message says in which way."""


@dataclass(frozen=True)
class Case:
    """One hostile input and what is done with it.

    Attributes
    ----------
    title
        What was made, in a few words.
    run
        Calls the runtime; raises `Broken` if what comes back is not valid.
    """

    title: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes
    ----------
    kind
        `RESULT`, `REFUSED` or `FAILED`.
    what
        The class of the error of a refusal; what is wrong, of a failure; else empty.
    title
        That of the case.
    message
        Of the error, shortened.
    """

    kind: str
    what: str = ""
    title: str = ""
    message: str = ""

    def as_row(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


class Family(Protocol):
    """Cases of one kind.

    Attributes
    ----------
    name
        On the command line and in the report.
    cases, short
        Number of cases in full, and in the tests.
    seconds, memory
        What one case may take: seconds, and bytes of resident memory beyond those before it.
    silent
        Whether nothing may be printed. Decoders print of damaged files what only a process of its own can keep back.
    """

    name: ClassVar[str]
    cases: ClassVar[int]
    short: ClassVar[int]
    seconds: ClassVar[float]
    memory: ClassVar[int]
    silent: ClassVar[bool]

    def warm_up(self) -> None:
        """Load and compile what the cases use, before their time counts."""

    def make(self, rng: np.random.Generator, folder: Path) -> Case:
        """Make a case; its files lie in `folder`, which is empty and its own."""


def generator(family: str, seed: int, number: int) -> np.random.Generator:
    """Return the random numbers of one case, which depend on nothing else."""
    return np.random.default_rng([seed, number, zlib.crc32(family.encode())])


def judge(case: Case, folder: Path) -> Outcome:
    """Run a case by the one rule of every door.

    It gives a valid result, or raises a `DeblurError`, which is also the builtin that fits, with a message of one line.
    It leaves its inputs as they were, leaves no unfinished file behind, and warns with warnings of its own alone.
    """
    before = _snapshot(folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        outcome = _attempt(case)
    if outcome.kind == FAILED:
        return outcome
    after = _snapshot(folder)
    changed = [name for name, digest in before.items() if after.get(name) != digest]
    unfinished = [name for name in after if name.endswith(".part")]
    foreign = [f"{w.category.__name__}: {w.message}" for w in warned if not issubclass(w.category, DeblurError)]
    for wrong, which in (("input changed", changed), ("file left behind", unfinished), ("foreign warning", foreign)):
        if which:
            return _failure(case, f"{wrong}: {which[0]}")
    return outcome


def _attempt(case: Case) -> Outcome:
    try:
        case.run()
    except Broken as error:
        return _failure(case, f"invalid result: {error}")
    except DeblurError as error:
        message = str(error)
        if not message.strip() or len(message.splitlines()) != 1 or len(message) > _LONGEST_MESSAGE:
            return _failure(case, f"{type(error).__name__} whose message is no line of readable length", message)
        return Outcome(REFUSED, type(error).__name__, case.title, message[:_LONGEST_QUOTE])
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return _failure(case, f"raw {type(error).__name__}{_place(error)}", str(error))
    return Outcome(RESULT, title=case.title)


def _failure(case: Case, what: str, message: str = "") -> Outcome:
    return Outcome(FAILED, what[:_LONGEST_QUOTE], case.title, message[:_LONGEST_QUOTE])


def _place(error: BaseException) -> str:
    """Return where in our code an error passed last."""
    places = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        package = step.tb_frame.f_globals.get("__name__", "")
        if package.partition(".")[0] in ("runtime", "kernels"):
            places.append(f"{package}:{code.co_name}")
        step = step.tb_next
    return f" in {places[-1]}" if places else ""


def _snapshot(folder: Path) -> dict[str, str]:
    """Return a digest of every file below a folder, by relative path; of links and devices their kind alone."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_symlink() or not file.is_file():
            found[str(file.relative_to(folder))] = "special"
        else:
            found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found
