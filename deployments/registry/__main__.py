"""What `resolve_apart` runs: prints the version that an alias points to as JSON, or null."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from deployments.registry import MlflowRegistry, ModelNotFound, RegistryError


def main(uri: str, artifacts: str, cache: str, name: str, alias: str) -> None:
    """Exits with the reason where the registry cannot be asked."""
    try:
        registry = MlflowRegistry(uri, artifacts=Path(artifacts), cache=Path(cache))
        print(json.dumps(asdict(registry.resolve(name, alias))))
    except ModelNotFound:
        print("null")
    except RegistryError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
