"""The learned prior on blur kernels.

* `network`
* `simulation`: blurred photographs; `states`: states of the blind estimation recorded on them
* `train`: training on recorded states; `rounds`: recording and training in turn
* `onnx`: its graph and bundle
"""
