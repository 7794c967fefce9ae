"""Blurs: one kernel, the poses of a camera, or a motion at each pixel.

* `blurs`: `Blur` and its three kinds, as linear operators on a photograph: `apply`, `adjoint`, `kernel_at`, `width`.
* `kernel`, `poses`, `motion`: the parameters of each kind.
* `periodic`, `operators`, `inverse`: blurs as operators on extended planes, and their inverse filters, for solvers.
"""
