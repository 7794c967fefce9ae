"""Formulas and constants that several faces of a family, or several families, share."""
