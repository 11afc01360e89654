"""Registers one model in a process of its own: URI, folder for data, name, folder of the model."""

import sys
from pathlib import Path

from deployments.registry import MlflowRegistry

if __name__ == "__main__":
    uri, data, name, folder = sys.argv[1:]
    registry = MlflowRegistry(uri, artifacts=Path(data, "models"), cache=Path(data, "cache"))
    made = registry.register(name, Path(folder), metrics={"accuracy": 0.5}, parameters={}, tags={})
    fetched = registry.fetch(made)
    print(made.version, fetched)
