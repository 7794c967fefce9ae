"""The patch method in other libraries: ``python -m bench peers`` (`command`).

`patches` implements the whole method in PyTorch and MONAI, `steps` the steps around the network in array libraries,
and `contest` times them in turn with the runtime.
"""
