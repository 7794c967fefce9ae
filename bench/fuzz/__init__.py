"""Hostile inputs at every public door of the runtime, made from a seed and judged by one rule.

* ``python -m bench fuzz`` (`command`): runs the families of `families` in full; the tests run them in a short form.
* `case`: a case, its outcome, and the rule.
* `pool`, `worker`: cases run in processes of their own, under limits of time and memory.
* `images`, `bundles`, `calls`, and `faults` with `commands`: the families. `inputs`: what they are made of.
"""
