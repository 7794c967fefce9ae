"""How close restorations come to the known sharp image.

``python -m bench accuracy`` (`command`), ``quality`` (`levels`), ``bursts`` and ``motion``. `evaluation` restores and
scores one sample in several ways, `runner` many of them in processes, `scoring` defines the scores, and `summary`,
`comparison` and `sheet` make tables, differences between two reports, and contact sheets of them.
"""
