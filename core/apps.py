from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import (
            checks,  # noqa: F401 - registers itself
            inbox,
            outbox,
            task_context,  # noqa: F401 - connects the request id to tasks
        )
        from core.logging import configure_logging

        # Declarations of a room above: whatever process asks, the catalogue is whole.
        autodiscover_modules("events")
        configure_logging()
        # An event about an object means that the object exists: what was parked for it is due.
        outbox.subscribe_batch("*", inbox.match_parked_for_events)
