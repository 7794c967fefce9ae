"""The operation families in NumPy, in float64, written as their formulas read: for documentation and tests."""
