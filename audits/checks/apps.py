from django.apps import AppConfig


class ChecksConfig(AppConfig):
    name = "audits.checks"
    label = "checks"
