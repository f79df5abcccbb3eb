from django.apps import AppConfig


class PostmortemsConfig(AppConfig):
    name = "audits.postmortems"
    label = "postmortems"

    def ready(self) -> None:
        from audits.postmortems import search  # noqa: F401 what it adds to search
