"""Every write on customer webhooks: what faces call is found here.

- `webhooks`: endpoints and their secrets, fan-out, resend, replay
- `lanes`: which delivery is sent next
- `delivery`: the sender: leases, posts, records the answer
- `mail`: the mail about an endpoint that was disabled
"""

from notifications.services.webhooks import (
    EndpointSpec,
    Replay,
    deliveries_replay,
    delivery_resend,
    endpoint_create,
    endpoint_delete,
    endpoint_roll_secret,
    endpoint_spec,
    endpoint_update,
    event_resend,
    fan_out,
    wake_senders,
)

__all__ = [
    "EndpointSpec",
    "Replay",
    "deliveries_replay",
    "delivery_resend",
    "endpoint_create",
    "endpoint_delete",
    "endpoint_roll_secret",
    "endpoint_spec",
    "endpoint_update",
    "event_resend",
    "fan_out",
    "wake_senders",
]
