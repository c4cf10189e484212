"""The router's Django settings. What an operator may set is listed in `.env.example`."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from starfish.router.environment import Environment, secret_key

_HERE = Path(__file__).resolve().parents[2]
ROOT = _HERE if (_HERE / "manage.py").exists() else Path.cwd()
_env = Environment.read(ROOT)

DEBUG = _env.flag("DEBUG", default=False)
SECRET_KEY = secret_key(_env)
ALLOWED_HOSTS = _env.words("ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = _env.origins("CSRF_TRUSTED_ORIGINS")

_env.refuse("ARTIFACTS_URL", "files are kept in a folder, ARTIFACTS_DIR; object storage is not supported yet")
ARTIFACTS_DIR = _env.path("ARTIFACTS_DIR", "var/artifacts")
SITE_TIMEOUT_S = _env.number("SITE_TIMEOUT_S", 60, minimum=1, maximum=10**7)
TOKEN_DAYS = _env.number("TOKEN_DAYS", 365, minimum=1, maximum=36_500)
MAX_UPLOAD_BYTES = _env.number("MAX_UPLOAD_BYTES", 10 * 2**30, minimum=1)
MAX_JSON_BYTES = _env.number("MAX_JSON_BYTES", 4 * 2**20, minimum=1024)
SWEEP_EVERY_S = _env.number("SWEEP_EVERY_S", 0)  # set by `starfish router serve`, which sweeps by itself


def _database() -> dict[str, Any]:
    host = _env.text("DATABASE_HOST")
    if host:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _env.text("DATABASE_NAME", "starfish-router"),
            "USER": _env.text("DATABASE_USER", "postgres"),
            "PASSWORD": _env.secret("DATABASE_PASSWORD"),
            "HOST": host,
            "PORT": str(_env.number("DATABASE_PORT", 5432, minimum=1, maximum=65_535)),
            "OPTIONS": {"pool": {"min_size": 1, "max_size": _env.number("DATABASE_POOL", 20, minimum=2, maximum=1000), "timeout": 10}},
        }
    path = _env.path("DATABASE_NAME", "var/router.sqlite3")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"DATABASE_NAME is {path}, whose folder cannot be made: {error}.") from error
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_extensions",
    "rest_framework",
    "drf_spectacular",
    "starfish.router",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "starfish.router.static.static_files",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "starfish.router.health.Guard",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "starfish.router.urls"
WSGI_APPLICATION = "starfish.router.wsgi.application"
ASGI_APPLICATION = "starfish.router.asgi.application"
APPEND_SLASH = False  # a POST must never be answered by a redirect that loses its body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
AUTHENTICATION_BACKENDS = ["starfish.router.api.authentication.LoginPage"]
SESSION_ENGINE = "starfish.router.api.sessions"
LOGIN_REDIRECT_URL = "/starfish/api/v1/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

TEST_RUNNER = "starfish.router.test_runner.PytestRunner"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "starfish.router.api.authentication.PasswordAuthentication",
        "starfish.router.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",  # the browsable API alone
    ],
    "DEFAULT_PERMISSION_CLASSES": ["starfish.router.api.permissions.Closed"],
    "DEFAULT_PARSER_CLASSES": ["starfish.router.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer", "rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "starfish.router.api.negotiation.JSONByDefault",
    "DEFAULT_PAGINATION_CLASS": "starfish.router.api.paging.Pages",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "starfish.router.api.errors.answer",
    "PAGE_SIZE": 20,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Starfish Routing Server",
    "DESCRIPTION": "Federated runs: sites, projects, batches, and the payloads that pass between them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "ENUM_NAME_OVERRIDES": {
        "SiteStatus": "starfish.router.wire.SITE_WORDS",
        "RunStatus": "starfish.router.wire.RUN_WORDS",
        "Role": "starfish.router.wire.ROLE_WORDS",
    },
    "SERVE_PERMISSIONS": ["starfish.router.api.permissions.Account"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/starfish/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "starfish.router.openapi.complete"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}, "none": {"class": "logging.NullHandler"}},
    "loggers": {
        "psycopg.pool": {"level": "ERROR"},  # what it warns of ends as an error of ours, once
        "django.security.DisallowedHost": {"handlers": ["none"], "propagate": False},  # answered by 400; not worth a traceback
    },
    "root": {"handlers": ["console"], "level": _env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))},
}
