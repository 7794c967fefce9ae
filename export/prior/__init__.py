"""The learned prior on blur kernels: states of the refinement beside the truth, training, and export."""
