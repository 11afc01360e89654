"""Keys: who is let in, and what a changed, broken or vanished file does."""

import logging
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.access.caller import Quota, Scope
from serve_app.access.key_file import KeyFile, KeysUnreadable, StoredQuota, change
from serve_app.access.keys import LOOK_S, Keys
from serve_app.errors import CredentialsExpired, CredentialsInvalid
from tests.serve_app.access.conftest import Clock, store


def test_a_key_names_its_owner(path: Path) -> None:
    quota = StoredQuota(requests_per_s=5, images_per_s=0.5)
    text = store(path, Scope.FAQ, Scope.ADMIN, quota=quota)
    caller = Keys(path).find(text)
    assert caller.id == text.split(b"_")[1].decode()
    assert caller.scopes == {Scope.FAQ, Scope.ADMIN}
    assert caller.quota == Quota(5, 0.5)


def test_the_file_holds_no_key_and_only_its_owner_reads_it(path: Path) -> None:
    text = store(path)
    content = path.read_bytes()
    assert text not in content
    assert text.split(b"_", 2)[2] not in content
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_expired_key_says_so_to_its_owner_alone(path: Path, clock: Clock) -> None:
    text = store(path, lifetime=timedelta(minutes=1))
    keys = Keys(path, now=lambda: time.time() + clock.seconds)
    with pytest.raises(CredentialsExpired):
        keys.find(text)
    with pytest.raises(CredentialsInvalid):
        keys.find(text[:-4] + b"AAAA")


@given(data=st.data())
def test_no_changed_key_is_accepted(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    text = store(path)
    keys = Keys(path)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[place]))
    with pytest.raises(CredentialsInvalid):
        keys.find(text[:place] + bytes([other]) + text[place + 1 :])
    for changed in (text + b"A", text[:-1], b"", text.upper(), text + b"\n", b" " + text):
        with pytest.raises(CredentialsInvalid):
            keys.find(changed)


def test_a_change_is_seen_within_a_second(path: Path, clock: Clock) -> None:
    first = store(path)
    keys = Keys(path, monotonic=clock)
    second = store(path)
    with pytest.raises(CredentialsInvalid):
        keys.find(second)
    clock.seconds += LOOK_S
    assert keys.find(second).id != keys.find(first).id
    change(path, lambda file: KeyFile(keys=file.keys[1:]))
    clock.seconds += LOOK_S
    with pytest.raises(CredentialsInvalid):
        keys.find(first)


def test_keys_may_come_after_the_start(path: Path, clock: Clock) -> None:
    keys = Keys(path, monotonic=clock)
    seen = [keys.was_seen]
    text = store(path)
    clock.seconds += LOOK_S
    seen += [keys.was_seen]
    assert seen == [False, True]
    keys.find(text)


def test_a_mounted_secret_changes_by_its_link(tmp_path: Path, clock: Clock) -> None:
    """As the kubelet swaps it: file -> ..data/file, ..data -> a folder of its own."""
    texts = [store(tmp_path / str(number) / "keys.json") for number in (1, 2)]
    (tmp_path / "..data").symlink_to("1")
    path = tmp_path / "keys.json"
    path.symlink_to("..data/keys.json")
    keys = Keys(path, monotonic=clock)
    keys.find(texts[0])
    (tmp_path / "..next").symlink_to("2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    clock.seconds += LOOK_S
    keys.find(texts[1])
    with pytest.raises(CredentialsInvalid):
        keys.find(texts[0])


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', b"\xff", b"[" * 9999])
def test_a_broken_file_changes_nothing_and_is_logged_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    text = store(path)
    keys = Keys(path, monotonic=clock)
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.seconds += LOOK_S
            keys.find(text)
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    good = store(path.with_name("good.json"))
    path.with_name("good.json").replace(path)
    clock.seconds += LOOK_S
    keys.find(good)


def test_a_vanished_file_changes_nothing(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    text = store(path)
    keys = Keys(path, monotonic=clock)
    path.unlink()
    clock.seconds += LOOK_S
    keys.find(text)
    assert keys.was_seen
    assert "is gone" in caplog.text


@pytest.mark.parametrize(
    ("change_text", "word"),
    [
        (('"version": 1', '"version": 9'), "version"),
        (('"name"', '"nmae"'), "nmae"),
        (('"sha256:', '"md5:'), "hash"),
        (('"faq"', '"root"'), "scopes"),
        (('"scopes"', '"expires": "tomorrow", "scopes"'), "expires"),
        (('"scopes"', '"expires": "2030-01-01T00:00:00", "scopes"'), "expires"),
        (('"scopes"', '"quota": {"images_per_s": 0}, "scopes"'), "quota"),
    ],
)
def test_a_start_on_a_wrong_file_is_refused(
    path: Path, change_text: tuple[str, str], word: str
) -> None:
    store(path)
    content = path.read_text()
    digest = content.split("sha256:")[1][:64]
    assert change_text[0] in content
    path.write_text(content.replace(*change_text))
    with pytest.raises(KeysUnreadable, match=word) as error:
        Keys(path)
    assert digest not in str(error.value)


def test_two_keys_of_one_id_are_refused(path: Path) -> None:
    store(path)
    with pytest.raises(ValueError, match="same id"):
        change(path, lambda file: KeyFile(keys=file.keys * 2))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeysUnreadable, match="directory"):
        Keys(tmp_path)


def test_changes_at_the_same_time_wait_for_each_other(path: Path) -> None:
    second = threading.Thread(target=store, args=(path,))

    def first(file: KeyFile) -> KeyFile:
        second.start()
        second.join(0.2)
        assert second.is_alive()
        return file

    change(path, first)
    second.join(10)
    assert len(Keys(path)) == 1
