from django.apps import AppConfig


class DeletionConfig(AppConfig):
    name = "audits.deletion"
    label = "deletion"
