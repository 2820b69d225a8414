"""Examples of requests and responses in the OpenAPI description.

They are what a service received and sent: `python -m tests.api.record_examples` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi_examples.json")
JSON_TYPE = "application/json"


def add_examples(described: dict[str, Any]) -> None:
    """Add to every operation the example of its JSON body, and of each of its JSON responses."""
    recorded: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    for operations in described["paths"].values():
        for operation in operations.values():
            examples = recorded.get(operation["operationId"], {})
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, example in examples.items():
                if JSON_TYPE in bodies.get(name, {}).get("content", {}):
                    bodies[name]["content"][JSON_TYPE]["example"] = example
