"""Measure the runtime: its kernels, its throughput and its accuracy.

``python -m bench kernels|throughput|accuracy``. Every report states the machine, the versions and the settings;
every time is the median of several repeats after warm-up, with its spread.
"""
