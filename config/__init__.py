"""Settings, addresses and what runs them. Nothing of Celery is imported where there is no broker."""

import os

if os.environ.get("CELERY_BROKER_URL"):
    from config.celery import app as celery_app

    __all__ = ["celery_app"]
