"""Serving: photographs in files, on many machines, and in other servers.

* `photographs`: photographs in files: which they are, and an encoded one restored.
* `batch`: many photographs on the machines of a Ray cluster.
* `triton`: a model repository for NVIDIA's Triton Inference Server.
"""
