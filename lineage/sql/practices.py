"""How each output is loaded, as far as the SQL alone tells."""

from typing import Any

from .effects import Effects
from .model import NO_PRACTICES, Practices, Statement


def judge(script: Any, effects: list[Effects], statements: list[Statement], config: dict[str, Any]) -> Practices:
    return NO_PRACTICES
