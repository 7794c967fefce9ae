"""What all training has in common.

* `config`: configurations; `job`: what the command line adds to one
* `checkpoints`: full and slim checkpoints
* `trainer`: the training loop, for samples that are synthesised (`synthetic`) or `recorded`
"""
