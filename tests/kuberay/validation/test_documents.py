"""YAML with a key given twice, which PyYAML lets pass."""

import pytest
import yaml

from tests.kuberay.validation.documents import leaves, parse


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a:\n  b: 1\n  c: 2\n  b: 3\n",
        "- {x: 1, x: 1}\n",
        "a: 1\n---\nb: 1\nb: 2\n",
        '"a": 1\na: 2\n',
    ],
)
def test_a_key_given_twice_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="is given twice, in lines"):
        parse(text)


def test_documents_are_read_as_kubernetes_reads_them() -> None:
    assert parse("a: 2026-12-01\nb: 0600\nc: yes\n---\n---\n- 1\n") == [
        {"a": "2026-12-01", "b": 384, "c": True},
        [1],
    ]


def test_merged_mappings_may_repeat_a_key() -> None:
    assert parse("a: &a {x: 1}\nb: {<<: *a, x: 2}\n") == [{"a": {"x": 1}, "b": {"x": 2}}]


def test_python_objects_are_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        parse("!!python/object/apply:os.getcwd []")


def test_leaves_have_their_paths() -> None:
    value = {"a": {"b": [1, {"c": None}], "d": {}}, "e": []}
    assert dict(leaves(value)) == {"a.b[0]": 1, "a.b[1].c": None, "a.d": {}, "e": []}
