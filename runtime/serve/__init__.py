"""Serving: many photographs, on many machines.

* `batch`: the jobs of a batch, and what becomes of each. `storage`: its files, on disks and in object stores.
* `ray`: a batch on the machines of a Ray cluster. `cores`: the cores of one worker.
"""
