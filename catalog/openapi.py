"""What the OpenAPI schema says beyond what is read off the views: how to sign in, and how every error looks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "catalog.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token made on your account page."}


class FaultSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="For programs: invalid, unauthenticated, forbidden, not_found, conflict, …")
    message = serializers.CharField(help_text="For people: what was wrong, and what would be right")
    fields = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="The faults by field or parameter"
    )


class ErrorSerializer(serializers.Serializer):
    error = FaultSerializer()


class Schema(AutoSchema):
    """Adds to each operation the errors it can answer with."""

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for status in self._errors():
            bodies.setdefault(status, self._get_response_for_code(ErrorSerializer, status))
        return bodies

    def _errors(self) -> list[str]:
        errors = ["400", "401", "403"]
        if "{" in self.path:
            errors.append("404")
        if self.method in {"POST", "PUT", "PATCH"}:
            errors += ["409", "413", "415"]
        return errors
