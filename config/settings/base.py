"""Settings, read from the environment; the safe value is the default.

DATABASE_URL       the login role that row-level security binds (never the owner)
REDIS_URL          broker and websockets; the cache takes database 1 unless CACHE_URL names another
SECRET_KEY, FIELD_KEYS, API_KEY_PEPPERS     see README, "In production"
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import environ
from kombu import Exchange, Queue

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = environ.Env()

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
BASE_URL = env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
_base = urlsplit(BASE_URL)
#: Where the pages open their websockets: on the same host, unless a deployment says otherwise.
WS_URL = env.str(
    "WS_URL", default=("wss" if _base.scheme == "https" else "ws") + f"://{_base.netloc}"
)
HTTPS = _base.scheme == "https"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_base.hostname or "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
#: Networks of the reverse proxies whose X-Forwarded-For is believed; core/proxies.py reads it.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "core",
    "tenants",
    "ledger",
    "notifications",
    "payments.providers",
    "payments.intents",
    "payments.acceptance",
    "payments.checkout",
    "portal",
    "developers",
    "unfold",
    "unfold.contrib.filters",
    "config.admin.MerchantryAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_otp",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "channels",
]

MIDDLEWARE = [
    "core.proxies.ClientAddressMiddleware",
    "core.middleware.RequestIdMiddleware",
    "core.middleware.DeadlineMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.caching.PrivateAnswers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "tenants.middleware.SessionLimitsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.csp.PolicyMiddleware",
    "core.process.ProcessMiddleware",
    "core.middleware.NulGuardMiddleware",
    "tenants.middleware.AdminScopeMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.shell",
            ],
            "builtins": ["portal.templatetags.ui", "tenants.templatetags.seat"],
        },
    }
]

_database = env.db_url("DATABASE_URL")
# Django's, with waits that end and the guard that keeps card numbers out (core/postgres).
_database["ENGINE"] = "core.postgres"
_database["CONN_HEALTH_CHECKS"] = True
# Persistent connections, one a thread: the web's threads are few and live long.
_database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=None)
_database["OPTIONS"] = {
    "application_name": "merchantry",
    "connect_timeout": 5,
    # A host that is gone says nothing: without these its connections would wait for a quarter of an
    # hour (unacknowledged data), or two hours (an idle line).
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    **_database.get("OPTIONS", {}),
}
_database["DISABLE_SERVER_SIDE_CURSORS"] = True
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")


def _other_redis_database(url: str, database: int) -> str:
    """The same server, another database: the cache may be flushed, the broker never."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}"))


_redis_number = int(urlsplit(REDIS_URL).path.strip("/") or 0)
CACHE_URL = env.str("CACHE_URL", default=_other_redis_database(REDIS_URL, _redis_number + 1))
CACHES = {
    "default": {
        "BACKEND": "core.cache.Cache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "m",
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "core.channel_layer.ChannelLayer",
        "CONFIG": {"url": REDIS_URL, "prefix": f"ws{_redis_number}"},
    }
}

#: Open websockets that one streams process takes: in all, from one address, of one person.
WS_PER_PROCESS = env.int("WS_PER_PROCESS", default=4_000)
WS_PER_ADDRESS = env.int("WS_PER_ADDRESS", default=200)
WS_PER_PERSON = env.int("WS_PER_PERSON", default=20)

# Celery: ids only, acknowledged after the work, one at a time; limits below the visibility time.
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
# The times are those of workers and beat; what a request enqueues waits less (core/enqueue.py).
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 10,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.5,
}
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
#: A worker waits for its broker for as long as it takes.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.5,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
# Calls to merchants' own servers may be slow by the minute: in a queue of their own they hold up no
# payment. A worker without -Q takes both.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name) for name in ("celery", "webhooks")
]
CELERY_TASK_ROUTES = {"notifications.send_due_webhooks": {"queue": "webhooks"}}
#: Sweeps. What commits is picked up by these even if every message in Valkey is lost.
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": every_s, "options": {"expires": max(every_s * 2, 10)}}
    for name, every_s in {
        "providers.deliver_sandbox_events": 2,
        "notifications.send_due_webhooks": 5,
        "notifications.tell_of_disabled": 60,
        "tenants.send_due_mail": 30,
        "intents.check_due": 5,
        "core.sweep_inbox": 5,
        "acceptance.release_due": 60,
        "checkout.expire_due": 60,
        "providers.check_health": 60,
        "ledger.expire_pending": 30,
        "core.purge_expired": 3600,
        "core.anchor_audit_heads": 3600,
        "ledger.verify": 3600,
        # A cluster's alone: ledger/backends reads the same variable.
        **(
            {"ledger.sweep_notes": 60}
            if env.str("LEDGER_BACKEND", default="postgres") == "tigerbeetle"
            else {}
        ),
    }.items()
}

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
GUARDIAN_RAISE_403 = False
ANONYMOUS_USER_NAME = None
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
OTP_TOTP_ISSUER = "Merchantry"

SESSION_ENGINE = "tenants.sessions_backend"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_TIMEOUT_S = env.int("SESSION_IDLE_TIMEOUT_S", default=15 * 60)
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "portal.errors.csrf_failure"
if HTTPS:
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    DEVICE_COOKIE_NAME = "__Host-device"
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # On a developer's machine it would bind every program on `localhost` to https for two years.
    SECURE_HSTS_SECONDS = 0 if _base.hostname == "localhost" else 63_072_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
else:
    SESSION_COOKIE_NAME = f"session_{_base.port or 80}"
    CSRF_COOKIE_NAME = f"csrf_{_base.port or 80}"
    DEVICE_COOKIE_NAME = f"device_{_base.port or 80}"
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'", WS_URL],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "core.static_versions.VersionedStaticFiles"},
}
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / ".dev" / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = env.bool("WHITENOISE_USE_FINDERS", default=True)
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

#: smtp://user:password@host:25, smtp+tls:// (STARTTLS) or smtp+ssl://.
_email = env.email_url("EMAIL_URL", default="smtp://localhost:25")
EMAIL_BACKEND = env.str("EMAIL_BACKEND", default=_email["EMAIL_BACKEND"])
EMAIL_HOST, EMAIL_PORT = _email["EMAIL_HOST"], _email["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_USER"], _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
#: Without one a mail server that does not answer would hold a worker for ever.
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=10)
#: Where core.mail_file writes the development platform's mails.
MAIL_FILE = env.str("MAIL_FILE", default="")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Merchantry <no-reply@localhost>")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.RequestAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.renderers.EnvelopeRenderer"],
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.EnvelopeAutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.negotiation.JsonOnly",
    "EXCEPTION_HANDLER": "core.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = json.loads((BASE_DIR / "config" / "openapi.json").read_text())

#: Keys for the fields that are encrypted: "version:base64 of 32 bytes", newest first.
FIELD_KEYS = env.list("FIELD_KEYS", default=[])
#: Where the heads of the audit chains are kept outside the database: file: and a path, or
#: s3://bucket/prefix, whose endpoint and credentials are the usual AWS variables (docs/audit.md).
AUDIT_ANCHOR = env.str("AUDIT_ANCHOR", default=f"file:{BASE_DIR / '.dev' / 'audit-anchor.jsonl'}")
#: How long an object of the anchor is locked; the lock cannot be shortened. Seven years.
AUDIT_ANCHOR_LOCK_DAYS = env.int("AUDIT_ANCHOR_LOCK_DAYS", default=2557)
#: The address of a time-stamping authority (RFC 3161), and a PEM file of its root certificates.
AUDIT_TIMESTAMPS = env.str("AUDIT_TIMESTAMPS", default="")
AUDIT_TIMESTAMP_ROOTS = env.str("AUDIT_TIMESTAMP_ROOTS", default="")
#: Times in which nothing was anchored for a known reason: from/to, by commas.
AUDIT_ANCHOR_GAPS = env.list("AUDIT_ANCHOR_GAPS", default=[])
#: Peppers for the hashes of API keys: "version:secret", newest first.
API_KEY_PEPPERS = env.list("API_KEY_PEPPERS", default=[f"1:{SECRET_KEY}"])
JWT_KEYS = env.list("JWT_KEYS", default=[f"1:{SECRET_KEY}"])

ALLOW_LOOPBACK_WEBHOOKS = env.bool("ALLOW_LOOPBACK_WEBHOOKS", default=False)
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="https://api.stripe.com")
SANDBOX_SETTLE_AFTER_S = env.int("SANDBOX_SETTLE_AFTER_S", default=5)
#: What a request may take from its beginning to its answer (core/deadline.py).
REQUEST_DEADLINE_S = env.float("REQUEST_DEADLINE_S", default=12.0)
#: What one call to a provider may take at most, whatever its account's own time-out says.
PROVIDER_BUDGET_S = env.float("PROVIDER_BUDGET_S", default=8.0)
#: Calls that may be out at one provider account, in each process.
PROVIDER_CALLS_MAX = env.int("PROVIDER_CALLS_MAX", default=16)
#: Callers of one process that wait for providers at once; core/serving parks as many threads.
PROVIDER_WAITS_MAX = env.int("PROVIDER_WAITS_MAX", default=24)
#: Workers that may ask the providers of one merchant at once what became of its attempts. Its
#: provider may be slow, and other merchants wait for the same workers.
CHECKS_PER_MERCHANT_MAX = env.int("CHECKS_PER_MERCHANT_MAX", default=1)
#: Who may read /metrics from outside: a bearer token. Without one only private addresses may.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
#: Requests a second that one key may send to one endpoint; ten seconds' worth may come at once.
API_RATE_PER_S = env.int("API_RATE_PER_S", default=100)
#: What this process answers: all, web (portal, API, checkout) or console (the admin).
PROCESS = env.str("PROCESS", default="all")
BENCH_FLOOR = env.bool("BENCH_FLOOR", default=False)
MAX_BODY_BYTES = 262_144
#: Requests that one web process runs at once (core/serving).
WEB_SLOTS = env.int("WEB_SLOTS", default=8)

#: Logging is structlog's alone: core.apps configures it when the process starts.
LOGGING_CONFIG = None
