"""django-hordak's side of the ladder: transfers through its own API, 8 threads, a commit each."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any


def main(seconds: float) -> dict[str, Any]:
    import dj_database_url
    from django.conf import settings

    settings.configure(
        DATABASES={"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None)},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "mptt",
            "djmoney",
            "hordak",
        ],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        SECRET_KEY="bench",
        USE_TZ=True,
        DEFAULT_CURRENCY="USD",
        CURRENCIES=["USD"],
    )
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import transaction
    from hordak.models import Account
    from moneyed import Money

    call_command("migrate", verbosity=0)
    pairs = [
        (
            Account.objects.create(name=f"a{i}", code=str(100 + i), type="IN", currencies=["USD"]),
            Account.objects.create(name=f"b{i}", code=str(200 + i), type="IN", currencies=["USD"]),
        )
        for i in range(16)
    ]
    counts = [0] * 8
    deadline = time.perf_counter() + seconds

    def run(number: int) -> None:
        amount = Money(1, "USD")
        while time.perf_counter() < deadline:
            source, target = pairs[number * 2 + counts[number] % 2]
            with transaction.atomic():
                source.transfer_to(target, amount)
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"per_s": sum(counts) / seconds}


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))), flush=True)
