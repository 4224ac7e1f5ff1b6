import os

import dj_database_url
from django.core.management.utils import get_random_secret_key

SHOP_NAME = os.environ.get("SHOP_NAME", "Shop")
SHOP_COLOR = os.environ.get("SHOP_COLOR", "#35507a")

# DATABASE_URL; the path of the server's authority, if any, is in it.
DATABASES = {"default": dj_database_url.config(conn_max_age=60)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["orders"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    }
]
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "*").split(",")
USE_TZ = True

# Nothing here is signed to outlive the process.
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {
        "handlers": ["console"],
        "level": os.environ.get("LOG_LEVEL", "info").upper(),
    },
}
