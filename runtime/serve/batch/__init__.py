"""Batches: many photographs, each of which is accounted for at the end.

* `jobs`: which photograph becomes which file, and what becomes of each. `storage`: files on disks and in object stores.
* `ray`: a batch by Ray Data. `cluster`: the machines of a Ray cluster.
"""
