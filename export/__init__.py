"""Training and export: PyTorch networks, synthetic blur, the trainer, and ONNX bundles for the runtime."""
