"""Time and memory of kernels, networks and restorations.

Commands: ``python -m bench kernels``, ``throughput``, ``latency`` and ``burst-throughput``. `operations` lists the
array kernels that are timed; `restoration`, `burst_restoration` and `network` hold the measurements of `throughput` and
`burst_throughput`; `timing` measures times, `isolated` the memory of a process, and `machine` describes the machine.
"""
