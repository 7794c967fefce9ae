"""The deblurring methods, a module per paper, and the registry of them."""
