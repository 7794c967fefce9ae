"""The learned prior on blur kernels: network, simulated photographs, recorded states, training, export."""
