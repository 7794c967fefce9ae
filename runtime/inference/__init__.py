"""Running networks: model bundles, ONNX Runtime sessions and devices.

* `bundle`: model bundles on disk: format, search by name, checksums.
* `session`: ONNX Runtime sessions on the CPU and on CUDA, shared between threads.
* `devices`: device selection, transfers, and the CUDA stream of the work.
* `patch_engine`: a patch network run over a whole image in batches.
* `progress`: progress callbacks and timing of stages.
* `cuda_libraries`: explanation of errors of CUDA's shared libraries.
* `diagnosis`: report on the installation, for ``deblur doctor``.
"""
