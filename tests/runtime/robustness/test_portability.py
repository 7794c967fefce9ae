"""What Linux alone has is not needed: it is hidden from a process, which then restores photographs all the same.

Other libraries look for some of it when they are imported, so they are imported before it is hidden.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[3]

HIDE = """
import os, signal, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import click, cv2, numba, numpy, onnxruntime, PIL.Image, platform, scipy.fft, scipy.ndimage, scipy.signal, tifffile

platform.platform(), platform.processor()
for name in (
    "fork", "forkpty", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "getuid", "geteuid", "getgid",
    "getegid", "mkfifo", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "fchmod", "fchown", "chown", "lchown",
    "statvfs", "fstatvfs", "getloadavg", "sysconf", "posix_fallocate", "sendfile", "pread", "pwrite", "openpty",
    "killpg", "setsid", "wait4", "WNOHANG", "uname", "nice", "getpgid", "getpriority", "posix_spawn", "sync",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGQUIT", "SIGCHLD", "SIGKILL", "alarm", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules[name] = None
"""

LIBRARY = """
import numpy, runtime
from runtime.inference.diagnosis import diagnose

image = (0.5 + 0.3 * numpy.sin(numpy.arange(70)[:, None] / 9) * numpy.cos(numpy.arange(72) / 7)).astype("float32")
assert runtime.deconvolve(image, [[1.0]], device="cpu").shape == (70, 72)
assert runtime.Deblurrer(device="cpu").restore(image, nonblind="none").image.shape == (70, 72)
assert runtime.deblur_burst([image, image * 0.9], device="cpu", register=False).shape == (70, 72)
assert diagnose()["models"]
"""

COMMAND = """
import runtime.cli

runtime.cli.main()
"""


def without_linux(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", HIDE + script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_the_library_needs_nothing_of_linux():
    done = without_linux(LIBRARY)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_line_needs_nothing_of_linux(tmp_path):
    pixels = (np.random.default_rng(0).random((70, 72, 3)) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    options = ("--quality", "fast", "--device", "cpu", "--nonblind", "none")
    done = without_linux(COMMAND, "image", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *options)
    assert done.returncode == 0, done.stderr
    assert np.asarray(Image.open(tmp_path / "b.png")).shape == pixels.shape
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]
