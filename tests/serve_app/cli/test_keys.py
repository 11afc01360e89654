"""`scoring keys`: what is printed where, and what the file holds afterwards."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serve_app.access.caller import Quota, Scope
from serve_app.access.key_file import KeyFile, read
from serve_app.access.keys import Keys
from serve_app.cli import EXIT_USAGE, main
from serve_app.errors import CredentialsExpired, CredentialsInvalid


def keys(folder: Path, *arguments: str) -> int:
    return main(["keys", *arguments, f"data_dir={folder}"])


def stored(folder: Path) -> KeyFile:
    return read(folder / "keys.json")


def create(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """A key's text: what stands on standard output, and nothing else does."""
    assert keys(folder, "create", *options) == 0
    output, errors = capsys.readouterr()
    assert output.count("\n") == 1
    assert output.strip() not in errors
    return output.strip()


def test_create(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scope", "faq", "--scope", "image", "--scope", "faq", "--name", "web"]
    options += ["--expires", "90d", "--requests-per-s", "5"]
    text = create(tmp_path, capsys, *options)
    caller = Keys(tmp_path / "keys.json").find(text.encode())
    assert caller.scopes == {Scope.FAQ, Scope.IMAGE}
    assert caller.quota == Quota(requests_per_s=5)
    [key] = stored(tmp_path).keys
    assert (key.name, key.scopes) == ("web", (Scope.FAQ, Scope.IMAGE))
    assert key.expires == key.created + timedelta(days=90)


def test_the_file_is_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "folder" / "file"
    assert main(["keys", "create", "--scope", "faq", f"auth.keys={path}"]) == 0
    assert len(read(path).keys) == 1


def test_list_shows_no_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = create(tmp_path, capsys, "--scope", "faq", "--name", "web", "--images-per-s", "0.5")
    assert keys(tmp_path, "list") == 0
    output = capsys.readouterr().out
    [key] = stored(tmp_path).keys
    assert {key.id, "web", "faq", "never", "0.5"} <= set(output.split())
    assert key.hash.removeprefix("sha256:") not in output
    assert text.split("_", 2)[2] not in output


def test_rotate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scope", "image", "--name", "web", "--expires", "90d", "--images-per-s", "2"]
    old = create(tmp_path, capsys, *options)
    assert keys(tmp_path, "rotate", old.split("_")[1], "--keep", "1h") == 0
    new = capsys.readouterr().out.strip()
    before, after = stored(tmp_path).keys
    assert before.expires is not None
    assert timedelta(minutes=59) < before.expires - datetime.now(UTC) <= timedelta(hours=1)
    assert (after.name, after.scopes, after.quota) == (before.name, before.scopes, before.quota)
    assert after.expires == after.created + timedelta(days=90)
    known = Keys(tmp_path / "keys.json")
    assert known.find(old.encode()).scopes == known.find(new.encode()).scopes


def test_rotate_may_end_the_old_key_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = create(tmp_path, capsys, "--scope", "faq")
    key_id = old.split("_")[1]
    assert keys(tmp_path, "rotate", key_id, "--keep", "0s") == 0
    with pytest.raises(CredentialsExpired):
        Keys(tmp_path / "keys.json").find(old.encode())
    assert keys(tmp_path, "rotate", key_id) == 1
    assert "is over" in capsys.readouterr().err


def test_rotate_never_lengthens_a_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = create(tmp_path, capsys, "--scope", "faq", "--expires", "1h")
    end = stored(tmp_path).keys[0].expires
    assert keys(tmp_path, "rotate", old.split("_")[1], "--keep", "24h") == 0
    assert stored(tmp_path).keys[0].expires == end


def test_revoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [create(tmp_path, capsys, "--scope", "faq") for _ in range(2)]
    assert keys(tmp_path, "revoke", texts[0].split("_")[1]) == 0
    known = Keys(tmp_path / "keys.json")
    known.find(texts[1].encode())
    with pytest.raises(CredentialsInvalid):
        known.find(texts[0].encode())
    capsys.readouterr()
    assert keys(tmp_path, "revoke", texts[1].split("_")[1]) == 0
    assert "no key is left" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_an_unknown_id_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert keys(tmp_path, command, "0123456789ab") == 1
    assert "no key '0123456789ab'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--scope", "root"],
        ["--scope", "faq", "--expires", "90"],
        ["--scope", "faq", "--expires", "9999w"],
        ["--scope", "faq", "--requests-per-s", "0"],
        ["--scope", "faq", "--images-per-s", "nan"],
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        keys(tmp_path, "create", *options)
    assert error.value.code == EXIT_USAGE
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize("command", [["create", "--scope", "faq"], ["list"]])
def test_a_broken_file_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"{")
    assert keys(tmp_path, *command) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_bytes() == b"{"


def test_commands_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serve_app.cli", "keys", "create", "--scope", "faq"]
    command.append(f"data_dir={tmp_path}")
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(subprocess.run, command, check=True, capture_output=True) for _ in range(6)
        ]
        made = {run.result().stdout.decode().split("_")[1] for run in runs}
    assert {key.id for key in stored(tmp_path).keys} == made
    assert len(made) == 6
    assert {file.name for file in tmp_path.iterdir()} == {"keys.json", "keys.json.lock"}
