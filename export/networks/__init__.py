"""The networks, one module per paper."""
