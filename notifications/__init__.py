"""Events out: customer webhooks and websockets.

- `patterns`: what an endpoint subscribes to
- `payloads`: the JSON of an event
- `realtime`: what websockets push, and who may listen
- `retries`: when a webhook is tried again
- `routing`: the websockets' addresses
- `signing`: signatures of webhooks (Standard Webhooks 1.0.0)
- `socket_limits`: how many websockets may be open
"""
