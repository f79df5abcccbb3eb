from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "audits.usage"
    label = "usage"

    def ready(self) -> None:
        from audits.usage import search  # noqa: F401 what it adds to search
