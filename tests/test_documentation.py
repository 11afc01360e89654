"""The README says what is: every error, every route, every command."""

from pathlib import Path

from serve_app.errors import ScoringError, error_classes
from serve_app.http.openapi import openapi

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def test_every_error_is_explained() -> None:
    missing = [
        error.code for error in error_classes(ScoringError) if f"`{error.code}`" not in README
    ]
    assert missing == []


def test_every_error_stands_beside_its_status() -> None:
    rows = [line for line in README.splitlines() if line.startswith(("| 4", "| 5"))]
    for error in error_classes(ScoringError):
        assert any(row.startswith(f"| {error.status}") and f"`{error.code}`" in row for row in rows)


def test_every_route_is_listed() -> None:
    missing = [path for path in openapi()["paths"] if path not in README]
    assert missing == []


def test_every_command_exists() -> None:
    commands = {word.split()[0] for word in README.split("make ")[1:]}
    targets = {line.split(":")[0] for line in MAKEFILE.splitlines() if ":" in line}
    for command in ("serve", "test", "lint", "bench", "settings", "serve-config"):
        assert command in commands
        assert command in targets
