from django.apps import AppConfig


class PracticesConfig(AppConfig):
    name = "audits.practices"
    label = "practices"

    def ready(self) -> None:
        from audits.practices import rejudge  # noqa: F401 what it listens to
