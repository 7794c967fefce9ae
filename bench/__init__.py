"""Benchmarks of the runtime: ``python -m bench <command>``.

- `bench.accuracy`: ``accuracy``, ``bursts``, ``quality`` and ``motion``, restorations against known sharp images;
- `bench.speed`: ``kernels``, ``throughput``, ``latency``, ``burst-throughput`` and ``packed``, time and memory;
- `bench.solvers`: ``nonblind``, solvers of non-blind deconvolution;
- `bench.peers`: ``peers``, the patch method in other libraries;
- `bench.gpu`: ``gpu``, all that is to be measured on a GPU in one command;
- `bench.data`: photographs, bursts, motion fields and models that are measured on;
- `bench.options` and `bench.report`: what the commands share.

Every report states the machine, the versions and the settings. Times are medians of several repeats after warm-up,
given with their minimum and maximum.
"""
