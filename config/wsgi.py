"""The WSGI application that gunicorn serves."""

import atexit
import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  (imports all pages)
gc.collect()
gc.freeze()  # what was imported is no garbage, and to look through it now and then held a request up by 60 to 120 ms
atexit.register(gc.unfreeze)  # at the end all of it is: DuckDB complains of what is left
