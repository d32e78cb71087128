"""The configuration: cortex.yaml → `Config`, or everything that is wrong with it, each with file, line and path.

The only room where pydantic is used; the rest of Cortex reads the frozen result.
"""

from cortex.config.export import json_schema
from cortex.config.load import Loaded, load

__all__ = ["Loaded", "json_schema", "load"]
