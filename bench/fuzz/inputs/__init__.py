"""Hostile inputs, each made from random numbers.

* `mutations`: of any bytes. `containers`: of PNG, JPEG and WebP. `tiff_tags`: of TIFF. `pictures`: the files to mutate.
* `manifests`: of a bundle's manifest. `models`: of its files, and the bundles to mutate.
* `values`: arguments of functions.
"""
