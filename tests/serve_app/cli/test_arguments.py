"""The arguments of `scoring`: commands, settings, and options that stand for settings."""

import subprocess
import sys

import pytest

from serve_app.cli import EXIT_USAGE, FAQ_COMMANDS, IMAGE_COMMANDS, KEYS_COMMANDS, main


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints before it ends the process."""
    with pytest.raises(SystemExit):
        main(arguments)
    output, errors = capsys.readouterr()
    return output + errors


GROUPS = {"faq": FAQ_COMMANDS, "image": IMAGE_COMMANDS, "keys": KEYS_COMMANDS}


@pytest.mark.parametrize("group", GROUPS)
def test_the_commands_are_listed(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown([group, "--help"], capsys)
    assert all(name in text for name in GROUPS[group])


@pytest.mark.parametrize("words", [(group, name) for group in GROUPS for name in GROUPS[group]])
def test_every_command_takes_settings(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown([*words, "--help"], capsys)
    assert "--config FILE" in text
    assert "key=value" in text


@pytest.mark.parametrize(
    ("option", "value", "key"), [("--corpus", "a", "faq.corpus"), ("--name", "a", "faq.model")]
)
def test_an_option_and_its_setting_together_are_refused(
    option: str, value: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faq", "train", option, value, f"{key}=b"]) == EXIT_USAGE
    assert f"{key} is given twice" in capsys.readouterr().err
    assert main(["faq", "train", option, value, option, value]) == EXIT_USAGE
    assert f"{key} is given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["faq", "train", "--corpus", "nowhere", "faq.model=x", "nothing=1"],
        ["faq", "train", "faq.model=x", "--corpus", "nowhere", "nothing=1"],
        ["faq", "compare", "A", "B", "--corpus", "nowhere", "nothing=1"],
        ["faq", "compare", "A", "B", "nothing=1"],
        ["settings", "nothing=1"],
    ],
)
def test_settings_may_stand_anywhere(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == EXIT_USAGE
    assert "nothing is not a setting" in capsys.readouterr().err


def test_unknown_options_and_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--nmae" in shown(["faq", "train", "--nmae", "x=y"], capsys)
    assert main(["faq", "train", "--corpus", "a", "word"]) == EXIT_USAGE
    assert "'word' is not of the form key=value" in capsys.readouterr().err


def test_what_a_command_does_not_need_is_not_imported() -> None:
    program = (
        "import sys, serve_app.cli as cli; cli.main(['settings']);"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'matplotlib', 'ray'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
