"""Motion-Net of Eboli et al.: network, blurred patches, training, export, and the bank of inverse filters."""
