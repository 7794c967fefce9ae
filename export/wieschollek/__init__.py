"""The burst network of Wieschollek et al. (2016): network, bursts to train on, training, export."""
