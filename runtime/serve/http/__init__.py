"""The service over HTTP, with FastAPI and uvicorn; docs/service.md describes the interface.

* `app`: the addresses. `answers`: what is sent back. `description`: what ``/openapi.json`` says of them.
* `body`: the body of a request, within limits of size and time. `accept`: the format of the answer.
* `guard`: who may ask, and the id of each request. `problems`: errors.
* `server`: the process that listens, until it is told to end.
"""
