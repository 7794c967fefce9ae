"""Blurs: one kernel, the poses of a camera, or a motion at each pixel.

* `blurs`: `Blur` and its three kinds, as they act on a photograph: `apply`, `adjoint`, `kernel_at`, `width`.
* `kernel`, `poses`, `motion`: what each kind is made of.
* `periodic`, `operators`, `inverse`: blurs as operators on planes that reach beyond the photograph, for solvers.
"""
