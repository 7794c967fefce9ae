"""The operations in NumPy with float64 arithmetic, written like their formulas; slow, and right."""
