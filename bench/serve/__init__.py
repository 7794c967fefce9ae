"""Benchmarks of what serves photographs: load and faults.

* `command`: ``python -m bench serve``. `cases`: what is sent, and the answers that are expected.
* `faults`: clients and machines that misbehave, one fault after another.
* `load`: clients that send it, and what becomes of each request. `running`: the service as a process of its own.
* `ray`: ``python -m bench ray``, a batch whose workers and machines are killed.
"""
