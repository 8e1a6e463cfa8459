"""config/schema.json: the study's keys for editors, generated from the models."""

from __future__ import annotations

import json

from heirloom.config.study import Study


def schema_text() -> str:
    """JSON schema of a study file, with a final newline; the same text for the same models."""
    schema = Study.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
