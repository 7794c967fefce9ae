"""``python -m bench gpu``: all measurements on a GPU in one command (`command`).

`sections` lists the benchmarks it runs, and `goals` compares their results with the performance goals.
"""
