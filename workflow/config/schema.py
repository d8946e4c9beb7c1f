"""The configuration's JSON schema, for editors and Snakemake; `resformer schema` writes it anew.

Generated from the pydantic models into `workflow/config/config.schema.json`; a test holds the two
equal.
"""

import json
from pathlib import Path

from workflow.base.files import write_text
from workflow.config.model import Config

FILE = Path(__file__).with_name("config.schema.json")


def schema() -> str:
    """The schema as the text of its file."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | Config.model_json_schema(), indent=2) + "\n"


def write_schema() -> Path:
    """Write the file anew; returns it."""
    write_text(FILE, schema())
    return FILE
