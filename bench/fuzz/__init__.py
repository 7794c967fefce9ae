"""Hostile inputs for every public door of the runtime: files, bundles, calls and faults, made from a seed.

* ``python -m bench fuzz`` (`command`): runs the families of `families` in full; the tests run them in a short form.
* `case`: a case, its outcome, and the one rule by which every outcome is judged.
* `pool`, `worker`: cases run in processes of their own, under limits of time and memory.
* `images` with `pictures`, `mutations`, `containers` and `tiff_tags`; `bundles` with `manifests` and `models`;
  `calls` with `values`; `faults` with `commands`: the families.
"""
