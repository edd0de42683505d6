"""The JSON schema of a planner's answer: guided decoding holds a model to it, and `repair` all others."""

from __future__ import annotations

from typing import Any

#: What an id may look like. Short, so that a small model can repeat it without a slip.
ID_PATTERN = "^[a-z][a-z0-9_]{0,39}$"
MAX_COMPLEXITY = 100
REFUSED = "outside my domains"


def plan_schema(max_tasks: int, refuses: bool) -> dict[str, Any]:
    """Return the schema of a plan of 1 to `max_tasks` subtasks; with `refuses`, or of a refusal.

    Only keywords that llguidance, llama.cpp, vLLM and Ollama all enforce; acyclicity and known ids are
    beyond a grammar and left to `repair`.
    """
    id = {"type": "string", "pattern": ID_PATTERN}
    subtask = _closed(
        {
            "id": id,
            "description": {"type": "string", "minLength": 1, "maxLength": 600},
            "role": {"type": "string", "minLength": 1, "maxLength": 60},
            "complexity": {"type": "integer", "minimum": 1, "maximum": MAX_COMPLEXITY},
            "depends_on": {"type": "array", "items": id, "maxItems": max_tasks - 1},
        }
    )
    plan = _closed({"subtasks": {"type": "array", "items": subtask, "minItems": 1, "maxItems": max_tasks}})
    if not refuses:
        return plan
    return {"anyOf": [plan, _closed({"refuse": {"type": "string", "const": REFUSED}})]}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
