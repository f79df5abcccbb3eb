"""The product with one address more, `/bare`, whose view does nothing but write the body of a request into one row."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.contrib.auth.decorators import login_not_required  # noqa: E402
from django.db import models  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from config import urls  # noqa: E402

CREATE = "CREATE TABLE bare (id {key}, body text NOT NULL)"


class Bare(models.Model):
    body = models.TextField()

    class Meta:
        app_label = "ingest"
        managed = False
        db_table = "bare"

    def __str__(self) -> str:
        return str(self.pk)


@csrf_exempt
@login_not_required
def bare(request: HttpRequest) -> HttpResponse:
    Bare.objects.create(body=request.body.decode())
    return HttpResponse(status=201)


urls.urlpatterns.insert(0, path("bare", bare))
