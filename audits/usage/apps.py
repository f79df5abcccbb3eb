from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "audits.usage"
    label = "usage"
