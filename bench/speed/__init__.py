"""How long kernels, networks and restorations take, and how much memory."""
