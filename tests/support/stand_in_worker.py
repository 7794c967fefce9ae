"""A worker process that restores nothing: it starts at once and does what the options of a request say.

``noise`` is the number of seconds to work, ``stride`` what happens then: 1 an answer, 2 death, 3 death on the first
attempt alone, 4 no end, whatever the service says, 5 a message that is none, 6 a refusal, 7 one for lack of memory.
Only this process knows what a first attempt is by a file, whose name is in ``DEBLUR_STAND_IN``. On the device ``2`` it
takes two requests at a time.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from runtime.serve.worker.wire import pack, unpack

COMMAND = "from tests.support.stand_in_worker import main; main()"


def main():
    connection, jobs, abandoned = Connection(int(sys.argv[1])), queue.SimpleQueue(), set()
    if sys.argv[2] == "cuda":
        connection.send_bytes(pack({"kind": "unusable", "detail": "there is no GPU"}))
        return

    def listen():
        try:
            while True:
                header, blocks = unpack(connection.recv_bytes())
                if header["kind"] == "abandon":
                    abandoned.add(header["id"])
                else:
                    jobs.put((header, blocks))
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    connection.send_bytes(pack({"kind": "ready", "lanes": 2 if sys.argv[2] == "2" else 1}))
    while True:
        header, blocks = jobs.get()
        end = time.monotonic() + header["options"].get("noise", 0)
        what = header["options"].get("stride", 1)
        connection.send_bytes(pack({"kind": "progress", "id": header["id"], "stage": "half", "fraction": 0.5}))
        while time.monotonic() < end and header["id"] not in abandoned:
            time.sleep(0.005)
        mark = Path(os.environ.get("DEBLUR_STAND_IN", os.devnull))
        if what == 2 or (what == 3 and not mark.is_file()):
            mark.touch()
            os._exit(1)
        if what == 4:
            time.sleep(600)
        if what == 5:
            connection.send_bytes(b"nonsense")
        report = {
            "model": "none", "confidence": None, "code": None, "reason": None, "response": None,
            "kernel_size": None, "kernel_class": None, "width": 4,
            "height": 4, "format": "PNG", "timings": {"all": 0.001}, "warnings": [],
        }  # fmt: skip
        if header["id"] in abandoned:
            connection.send_bytes(pack({"kind": "refusal", "id": header["id"], "code": "abandoned", "detail": ""}))
        elif what in (6, 7):
            code = "invalid-image" if what == 6 else "out-of-memory"
            refusal = {"kind": "refusal", "id": header["id"], "code": code, "detail": "no: send another"}
            connection.send_bytes(pack(refusal))
        else:
            connection.send_bytes(pack({"kind": "answer", "id": header["id"], "report": report}, [blocks[0], b""]))
