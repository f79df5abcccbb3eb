"""Settings: the same code on a laptop and on many machines, chosen by the environment alone.

Every variable read here is listed in docs/configuration.md.
"""

import os
import secrets
import tomllib
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config.env import env_bool, env_list, env_number

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

DEBUG = env_bool("DEBUG", False)
DEMO = env_bool("DEMO", False)  # the demo lives in a database file of its own


def _secret_key() -> str:
    """SECRET_KEY, or one made once and kept under var/, readable by its owner only."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = VAR_DIR / "secret_key"
    if not path.exists():
        try:
            VAR_DIR.mkdir(exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(50))
        except FileExistsError:
            pass  # another process was first
        except OSError as error:
            raise ImproperlyConfigured(f"Cannot write {path}: {error.strerror}. Set SECRET_KEY instead.") from error
    return path.read_text()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS if host != "*"]

INSTALLED_APPS = [
    "catalog",
    "lineage",
    "audits.usage",
    "audits.deletion",
    "audits.checks",
    "audits.postmortems",
    "audits.practices",
    "ingest",
    "pages",
    "config.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pages.middleware.TokenMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pages.middleware.PagesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context.site",
            ],
        },
    }
]

_SQLITE_FILE = VAR_DIR / ("demo.sqlite3" if DEMO else "pipekeeper.sqlite3")


def _database() -> dict[str, object]:
    """DATABASE_URL, or SQLite in WAL mode under var/."""
    try:
        config = dj_database_url.config(default=f"sqlite:///{_SQLITE_FILE}", conn_max_age=60)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL cannot be read ({error}). Write postgres://user:password@host:5432/name."
        ) from error
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            # IMMEDIATE: a transaction that will write takes the lock at once and waits for it, instead of
            # failing halfway with "database is locked".
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # A cache of 8 MB: each of a process's eight threads has a connection, and so a cache, of its own.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;"
            ),
        }
    return config


DATABASES = {"default": _database()}

# Beyond one machine: with a broker, ingests are split into chunks and done by Celery workers.
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CELERY_QUEUE", "pipekeeper")
CELERY_TASK_ACKS_LATE = True  # what a killed worker held is done by another
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"  # the work itself is done by processes that these threads start
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith(("redis://", "rediss://", "unix://")):
    # Redis does not notice that a worker is gone: what one has not confirmed in this time goes to another
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": env_number("CELERY_VISIBILITY_TIMEOUT", 600)}
if CELERY_BROKER_URL and DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "CELERY_BROKER_URL is set, but the workers of several machines cannot share SQLite. Set DATABASE_URL to a "
        "PostgreSQL database, or unset CELERY_BROKER_URL."
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "catalog.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

FILE_UPLOAD_HANDLERS = [
    "ingest.uploads.BoundedUpload",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# Mail to owners. Without a server the demo writes its mails as files, and nothing else sends any.
SITE_URL = os.environ.get("SITE_URL", "http://127.0.0.1:8000").rstrip("/")  # in links of mails
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_PORT = int(env_number("EMAIL_PORT", 25))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 20  # seconds
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = VAR_DIR / "mails"
DEFAULT_FROM_EMAIL = os.environ.get("MAIL_FROM", "pipekeeper@localhost")

WEBHOOK_HOSTS = env_list("WEBHOOK_HOSTS", [])  # hosts of a private network that webhooks may reach all the same
# The longest body, unpacked, that /api/v1/lineage takes
LINEAGE_MAX_BYTES = int(env_number("LINEAGE_MAX_BYTES", 10_000_000))
LINEAGE_EVENTS_DAYS = env_number("LINEAGE_EVENTS_DAYS", 90)  # how long `prune_events` keeps them; 0 keeps all

# What deletions save, in money; 0 says nothing of money
PRICE_GB_MONTH = env_number("PRICE_GB_MONTH", 0)
PRICE_COMPUTE_HOUR = env_number("PRICE_COMPUTE_HOUR", 0)
PRICE_CURRENCY = os.environ.get("PRICE_CURRENCY", "EUR")

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG

DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000  # a log of 8 MB pasted into an incident, with what frames it

SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "catalog.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["catalog.rest.RolePermission"],
    "DEFAULT_PAGINATION_CLASS": "catalog.rest.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["catalog.rest.StrictFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["catalog.rest.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "catalog.openapi.Schema",
    "EXCEPTION_HANDLER": "catalog.rest.exception_handler",
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Pipekeeper",
    "DESCRIPTION": "Pipelines, tables, owners, lineage and problems of a data warehouse.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["catalog.rest.RolePermission"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "OriginEnum": "catalog.models.Origin",
        "CheckOriginEnum": "audits.checks.models.Check.Origin",
        "CheckStateEnum": "audits.checks.models.State",
        "LineageEventKindEnum": "ingest.models.LineageEvent.Kind",
        "CauseEnum": "audits.postmortems.models.Cause.Code",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
