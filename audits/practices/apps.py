from django.apps import AppConfig


class PracticesConfig(AppConfig):
    name = "audits.practices"
    label = "practices"
