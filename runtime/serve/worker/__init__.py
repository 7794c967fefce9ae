"""What runs in a worker process.

* `process`: takes requests and sends answers. `wire`: the messages.
* `restoring`: what is done with one request. `trial`: the restoration by which a worker shows that it works.
"""
