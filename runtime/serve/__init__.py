"""Serving: the service over HTTP, and photographs on many machines and in other servers.

* `service`: requests in, answers out, without a transport: `Service`. `settings`: its limits.
* `tickets`: a request on its way. `queue`: the bounded queue, and the bytes that may be held.
* `metrics`: what is counted.
* `parameters`: options as text. `refusals`: why a request is not answered with a photograph.
* `workers`: the worker processes as the service sees them. `worker`: what runs in them.
* `http`: the service over HTTP. `ray`: replicas of it on a Ray cluster.
* `photographs`: photographs in files: which they are. `encoded`: encoded photographs restored, one or many.
* `batch`: many photographs on the machines of a Ray cluster. `cores`: cores for each of several processes on a machine.
* `triton`: a model repository for NVIDIA's Triton Inference Server.
"""
