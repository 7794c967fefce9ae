"""Sessions of ONNX Runtime on the CPU that stand in for those on CUDA: they take the addresses of device arrays."""


class BoundOnHost:
    """An ONNX Runtime session on the CPU that takes bindings of "CUDA" addresses."""

    def __init__(self, session):
        self._session = session

    def io_binding(self):
        return _Binding(self._session.io_binding())

    def run_with_iobinding(self, binding):
        self._session.run_with_iobinding(binding.binding)


class _Binding:
    def __init__(self, binding):
        self.binding = binding

    def bind_input(self, name, device, number, dtype, shape, address):
        assert (device, number) == ("cuda", 0)
        self.binding.bind_input(name, "cpu", 0, dtype, shape, address)

    def bind_output(self, name, device, number, dtype, shape, address):
        assert (device, number) == ("cuda", 0)
        self.binding.bind_output(name, "cpu", 0, dtype, shape, address)
