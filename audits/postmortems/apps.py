from django.apps import AppConfig


class PostmortemsConfig(AppConfig):
    name = "audits.postmortems"
    label = "postmortems"
