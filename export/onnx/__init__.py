"""Writing ONNX: graphs node by node, layers, bundles, and parity with PyTorch."""
