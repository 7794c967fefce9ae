"""The network that repairs restored photographs: examples of what a kernel's error leaves, training, and export."""
