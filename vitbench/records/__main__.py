"""`python -m vitbench.records` prints the JSON Schema of a record."""

import json

from vitbench.records import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))  # noqa: T201
