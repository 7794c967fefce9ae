"""Families that end in every way there is."""

import os
import time
from pathlib import Path

import numpy as np

from bench.fuzz.case import Broken, Case
from runtime.errors import InvalidImage


def _good():
    pass


def _refused():
    raise InvalidImage("empty: give at least one pixel")


def _broken():
    raise Broken("NaN")


def _raw():
    raise ZeroDivisionError("by zero")


def _hangs():
    time.sleep(60)


def _dies():
    os.abort()


def _prints():
    os.write(2, b"libfoo warning\n")


def _hoards():
    np.ones(50_000_000)


ENDS = (_good, _refused, _broken, _raw, _hangs, _dies, _prints, _hoards, _good)


class Fake:
    """Case n ends like ``ENDS[n]``."""

    name = "fake"
    cases = short = len(ENDS)
    seconds = 1.0
    memory = 200 << 20
    silent = True

    def warm_up(self):
        pass

    def make(self, rng, folder: Path):
        (folder / "input.bin").write_bytes(rng.bytes(10))
        return Case(f"{rng.integers(1000)}", lambda: ENDS[self.number(rng)]())

    def number(self, rng):
        # The numbers of a case say which it is: they depend on nothing else.
        from bench.fuzz.case import generator

        states = [str(generator(self.name, 0, at).bit_generator.seed_seq) for at in range(len(ENDS))]
        return states.index(str(rng.bit_generator.seed_seq))


class Unready(Fake):
    """A family that cannot start."""

    def warm_up(self):
        raise RuntimeError("no model")


FAKE, UNREADY = Fake(), Unready()
