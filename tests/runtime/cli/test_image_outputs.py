"""Which files ``deblur image`` writes, replaces, copies and leaves out, and what it says of several in work."""

import io
import json
import os
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidArgument
from runtime.images import decode, read_file, write_file
from runtime.results import Restoration
from runtime.serve import encoded
from tests.runtime.cli.conftest import KERNEL, Negative

PATIENCE = 20
"""Seconds after which a test that hangs fails."""


@pytest.fixture
def unchanged(monkeypatch):
    monkeypatch.setattr("tests.runtime.cli.conftest.REASON", "there is no blur in it")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_unchanged_photograph_keeps_every_byte(deblur, opened, tmp_path, unchanged, format):
    suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(format, format.lower())
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    Image.radial_gradient("L").convert("P").convert("RGB").save(source, format=format, quality=60)
    assert deblur("image", source, "-o", target).code == 0
    assert target.read_bytes() == source.read_bytes()


def test_a_palette_stays_a_palette_where_nothing_changes(deblur, opened, tmp_path):
    Image.radial_gradient("L").convert("P").save(tmp_path / "in.png")
    assert deblur("image", tmp_path / "in.png", "-o", tmp_path / "out.png", "--strength", 0).code == 0
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "in.png").read_bytes()


def test_the_format_that_counts_is_that_of_the_content(deblur, opened, tmp_path, unchanged):
    Image.radial_gradient("L").save(tmp_path / "in.png", format="JPEG")
    assert deblur("image", tmp_path / "in.png", "-o", tmp_path / "out.png").code == 0
    assert deblur("image", tmp_path / "in.png", "-o", tmp_path / "out.jpeg").code == 0
    with Image.open(tmp_path / "out.png") as image:
        assert image.format == "PNG"
    assert (tmp_path / "out.jpeg").read_bytes() == (tmp_path / "in.png").read_bytes()


def test_a_file_is_read_once(deblur, opened, photograph, tmp_path, monkeypatch, unchanged):
    before = photograph.read_bytes()
    monkeypatch.setattr(Negative, "answer", lambda self, *_, **__: spoil(photograph, before))
    assert deblur("image", photograph, "-o", tmp_path / "out.png").code == 0
    assert (tmp_path / "out.png").read_bytes() == before


def spoil(path, before):
    path.write_bytes(b"changed meanwhile")
    return Restoration(decode(before)[0], None, None, None, {}, "negative", reason="there is no blur in it")


def test_stdin_that_is_unchanged_goes_to_stdout_as_it_came(deblur, opened, monkeypatch, unchanged):
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, format="JPEG", quality=30, comment=b"kept")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
    assert deblur("image", "-", "-o", "-").out == buffer.getvalue()


def test_a_job_is_taken_up_again(deblur, opened, folder, tmp_path):
    out = tmp_path / "out"
    assert deblur("image", folder, "-o", out, "--save-kernel").code == 1, "two cannot be restored"
    (folder / "b.JPG").unlink()
    (folder / "c.tif").unlink()
    os.truncate(out / "a.png", 50)
    result = deblur("image", folder, "-o", out, "--save-kernel", "--skip-existing")
    assert (result.code, len(opened[1].restored)) == (0, 1)
    assert result.err == "deblur: 1 of 2 photographs were finished before and are skipped\n"
    (out / "z.kernel.npy").unlink()
    result = deblur("image", folder, "-o", out, "--save-kernel", "--skip-existing", "--json")
    assert (result.code, len(opened[2].restored)) == (0, 1)
    first, second = (json.loads(line) for line in result.out.splitlines())
    kernel = {"kernel": f"{out}/a.kernel.npy", "motion": None}
    assert first == {"input": f"{folder}/a.png", "output": f"{out}/a.png", **kernel, "skipped": True}
    assert (second["input"], "skipped" in second) == (f"{folder}/z.webp", False)
    assert np.array_equal(np.load(out / "z.kernel.npy"), KERNEL)
    result = deblur("image", folder, "-o", out, "--skip-existing")
    assert (result.code, opened[3].restored) == (0, []), "kernels are not asked for"
    assert "2 of 2 photographs were finished before" in result.err


def test_what_another_process_finishes_meanwhile_is_finished(deblur, opened, photograph, tmp_path, monkeypatch):
    target = tmp_path / "out.png"
    answer = Negative.answer

    def overtaken(self, image, **options):
        target.write_bytes(b"of the other")
        return answer(self, image, **options)

    monkeypatch.setattr(Negative, "answer", overtaken)
    assert deblur("image", photograph, "-o", target, "--skip-existing").code == 0
    assert target.read_bytes() == b"of the other"
    target.unlink()
    result = deblur("image", photograph, "-o", target)
    assert (result.code, target.read_bytes()) == (1, b"of the other")
    assert result.err == f"deblur: {photograph}: {target} exists: give --overwrite to replace it, or another output\n"
    assert deblur("image", photograph, "-o", target, "--overwrite").code == 0
    assert np.array_equal(read_file(target)[0], 255 - read_file(photograph)[0])


def test_taking_up_excludes_replacing_and_replaces_no_photograph(deblur, opened, photograph):
    result = deblur("image", photograph, "-o", "out.png", "--overwrite", "--skip-existing")
    assert (result.code, "exclude each other" in result.err) == (2, True)
    before = photograph.read_bytes()
    for output in (photograph, photograph.parent):
        result = deblur("image", photograph, "-o", output, "--skip-existing", "--save-kernel")
        assert (result.code, "needs another output" in result.err) == (2, True)
    assert photograph.read_bytes() == before


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_photographs_of_one_stem_have_a_kernel_each(deblur, opened, tmp_path, overwrite):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("IMG_1.jpg", "IMG_1.png", "IMG_2.png"):
        write_file(folder / name, np.full((5, 4), 100, np.uint8))
    assert deblur("image", folder, "-o", out, "--save-kernel", *overwrite).code == 0
    stems = ("IMG_1.jpg.kernel", "IMG_1.png.kernel", "IMG_2.kernel")
    expected = {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".npy")}
    assert {path.name for path in out.iterdir()} == {*(path.name for path in folder.iterdir()), *expected}


def test_results_of_a_folder_are_no_photographs_of_it(deblur, opened, tmp_path):
    for name in ("a.png", "b.png"):
        write_file(tmp_path / name, np.full((5, 4), 100, np.uint8))
    for _ in range(2):
        assert deblur("image", tmp_path, "-o", tmp_path, "--overwrite", "--save-kernel").code == 0
    assert len(opened[1].restored) == 2
    assert len(list(tmp_path.iterdir())) == 6


def test_a_private_photograph_stays_private(deblur, opened, photograph, tmp_path):
    photograph.chmod(0o600)
    assert deblur("image", photograph, "-o", tmp_path / "out.png", "--save-kernel").code == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("photograph.png", "out.png", "out.kernel.png", "out.kernel.npy"), 0o600)


def test_memory_that_does_not_suffice_says_what_to_do(deblur, opened, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.runtime.cli.conftest.InvalidImage", lambda _: MemoryError("Unable to allocate 9 TiB"))
    result = deblur("image", folder, "-o", tmp_path / "out")
    assert (
        f"deblur: {folder}/b.JPG: there is not enough memory (Unable to allocate 9 TiB): give a smaller" in result.err
    )
    assert (tmp_path / "out" / "z.webp").exists()


NAMES = {"wide": "\u5199" * 80, "a line break": "one\ntwo", "no text": os.fsdecode(b"caf\xe9"), "an escape": "\x1b[2J"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_all_kinds(deblur, opened, photograph, tmp_path, name, monkeypatch):
    source, out = tmp_path / f"{name}.png", tmp_path / "out"
    photograph.rename(source)
    result = deblur("image", source, "-o", f"{out}/", "--json")
    assert result.code == 0
    assert json.loads(result.out)["output"] == f"{out}/{name}.png"
    assert len(read_file(out / f"{name}.png")[0]) == 12
    monkeypatch.setattr("tests.runtime.cli.conftest.REASON", "there is no blur in it")
    result = deblur("image", source, "-o", f"{out}/", "--overwrite")
    assert result.err.endswith("is unchanged: there is no blur in it\n")
    source.write_text("no picture")
    result = deblur("image", source, "-o", f"{out}/", "--overwrite")
    assert (result.code, result.err.count("\n"), result.err.count("no PNG")) == (1, 1, 1)
    assert result.err.count(".png") == 1, "named once"
    assert "\x1b" not in result.err


def test_a_name_that_is_too_long_is_found_before_the_work(deblur, opened, photograph, tmp_path):
    result = deblur("image", photograph, "-o", tmp_path / f"{'x' * 245}.png", "--save-kernel")
    assert (result.code, opened[0].restored) == (1, [])
    assert "the name is too long for the file system: give a shorter one" in result.err


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A folder of eight photographs, of which two are restored at a time whatever the machine."""
    monkeypatch.setattr("runtime.deblurrer.lanes_on", lambda device: 2)
    path = tmp_path / "in"
    path.mkdir()
    for number in range(8):
        write_file(path / f"{number}.png", np.full((5, 4), number, np.uint8))
    return path


@pytest.fixture
def before(monkeypatch):
    """Let something be done before a photograph is restored; it is called with the number of the photograph."""
    answer = Negative.answer

    def set_before(act):
        def answer_after(self, image, **options):
            act(int(image[0, 0]))
            return answer(self, image, **options)

        monkeypatch.setattr(Negative, "answer", answer_after)

    return set_before


def test_photographs_are_restored_side_by_side(deblur, opened, photographs, tmp_path, before):
    barrier = threading.Barrier(2)
    before(lambda number: barrier.wait(PATIENCE))
    result = deblur("image", photographs, "-o", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    for number in range(8):
        assert (read_file(tmp_path / "out" / f"{number}.png")[0] == 255 - number).all()


def test_reports_and_messages_are_in_order_whatever_takes_longest(
    deblur, opened, photographs, tmp_path, before, monkeypatch
):
    monkeypatch.setattr("tests.runtime.cli.conftest.REASON", "there is no blur in it")
    second = threading.Event()

    def act(number):
        if number == 0:
            assert second.wait(PATIENCE)
        elif number == 1:
            second.set()

    before(act)
    result = deblur("image", photographs, "-o", tmp_path / "out")
    expected = [f"{photographs}/{number}.png is unchanged: there is no blur in it" for number in range(8)]
    assert result.err.splitlines() == expected
    second.clear()
    (photographs / "3.png").write_text("no picture")
    result = deblur("image", photographs, "-o", tmp_path / "out", "--overwrite", "--json")
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert [os.path.basename(report["input"]) for report in reports] == [f"{number}.png" for number in range(8)]
    assert [number for number, report in enumerate(reports) if "error" in report] == [3]


def test_photographs_are_read_while_others_are_restored_but_not_all_at_once(
    deblur, opened, photographs, tmp_path, before, monkeypatch
):
    read, ahead = threading.Semaphore(0), []
    decode = encoded.decode

    def decode_and_tell(data):
        ahead.append(0)
        read.release()
        return decode(data)

    monkeypatch.setattr(encoded, "decode", decode_and_tell)
    seen = []

    def act(number):
        if number == 0:
            for _ in range(3):  # the third has no lane yet
                assert read.acquire(timeout=PATIENCE)
            seen.append(len(ahead))

    before(act)
    assert deblur("image", photographs, "-o", tmp_path / "out").code == 0
    assert 3 <= seen[0] <= 5


def test_a_warning_names_its_photograph(deblur, opened, photographs, tmp_path, monkeypatch):
    decode, encode = encoded.decode, encoded.encode

    def warning_decode(data):
        pixels, header = decode(data)
        if pixels[0, 0] == 2:
            warnings.warn("its profile is damaged", stacklevel=1)
        return pixels, header

    def warning_encode(image, header):
        if image[0, 0] == 255 - 5:
            warnings.warn("its texts are lost", stacklevel=1)
        return encode(image, header)

    monkeypatch.setattr(encoded, "decode", warning_decode)
    monkeypatch.setattr(encoded, "encode", warning_encode)
    result = deblur("image", photographs, "-o", tmp_path / "out")
    assert result.err.splitlines() == [
        f"deblur: {photographs}/2.png: its profile is damaged",
        f"deblur: {photographs}/5.png: its texts are lost",
    ]


def test_what_holds_for_all_is_said_once(deblur, opened, photographs, tmp_path, monkeypatch):
    def refuse(self, **options):
        raise InvalidArgument("quality 'superb': give another")

    monkeypatch.setattr(Negative, "_checked", refuse)
    result = deblur("image", photographs, "-o", tmp_path / "out", "--quality", "superb")
    assert (result.code, result.err) == (1, "deblur: quality 'superb': give another\n")
    assert not list((tmp_path / "out").iterdir())
