"""The YAML of maps: reads back what was written, and nothing that could mean two things or take long to read."""

from typing import Any

import numpy as np
import pytest
import yaml

from vloc_ros.errors import MapError
from vloc_ros.maps.strict_yaml import MAX_DEPTH, MAX_TEXT, dump, load

# Texts that YAML 1.1 or 1.2, or both, take for something else where they stand without quotes.
DOUBTFUL = (
    *("yes", "No", "on", "OFF", "y", "n", "~", "null", "Null", "", "true", "True", "=", "<<", "012", "0o17", "0x1F"),
    *("0b11", "1_000", "12:30:45", "1e3", "1e999", ".5", "5.", "+5", "-0", ".inf", "-.INF", ".nan", "2025-01-01", "08"),
    *("2025-06-01T12:00:00Z", "123", "1.5", "-", "? x", "a: b", "a #b", "&a", "*a", "!a", "%a", "@a", "`a", "[", "{"),
)


@pytest.mark.parametrize("text", [*DOUBTFUL, "Küche", "地図", "🙂", " x ", "x" * 500, "a  b " * 60, "'\"\\"])
def test_every_text_comes_back_as_the_same_text(text: str) -> None:
    document = {"value": text, "list": [text, [text]], "in": {f"k{text}": text}}
    assert load(dump(document)) == document


def test_random_documents_come_back_and_are_what_any_reader_of_yaml_finds() -> None:
    rng = np.random.default_rng(0)

    def value(depth: int) -> Any:
        kind = int(rng.integers(8 if depth < 4 else 6))
        simple = (None, True, int(rng.integers(-(2**62), 2**62)), float(rng.normal() * 10.0 ** rng.integers(-300, 300)))
        if kind < 6:
            return (*simple, str(rng.choice(DOUBTFUL)), "".join(map(chr, rng.integers(32, 127, 20))))[kind]
        if kind == 6:
            return [value(depth + 1) for _ in range(rng.integers(4))]
        return {str(rng.choice(DOUBTFUL)): value(depth + 1) for _ in range(rng.integers(4))}

    for _ in range(300):
        document = {"a": value(0)}
        content = dump(document)
        assert load(content) == document
        assert yaml.safe_load(content) == document


@pytest.mark.parametrize("word", ["yes", "off", "~", "Null", "TRUE", "012", "0o17", "0x1F", "1_000", "12:30:45", "1."])
@pytest.mark.parametrize("place", ["a: {}", "a: [{}]", "a: {{b: {}}}", "{}: 1"])
def test_a_word_that_versions_of_yaml_read_differently_is_refused(word: str, place: str) -> None:
    with pytest.raises(MapError, match="not read alike by all versions of YAML"):
        load(place.format(word).encode())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a: &x 1\nb: *x", "anchors and aliases"),
        ("a: *x", "anchors and aliases"),
        ("a: &x {b: 1}", "anchors and aliases"),
        ("a: {<<: {b: 1}}", "not read alike"),
        ("a: !!int '1'", "tag"),
        ("a: !x 1", "tag"),
        ("a: ! 1", "tag"),
        ("%YAML 1.1\n---\na: 1", "directives"),
        ("a: 1\n---\nb: 1", "more than one document"),
        ("a: 1\na: 2", "'a' is there twice"),
        ("a: {b: 1, 'b': 2}", "a: the key 'b' is there twice"),
        ("1: 1", "key 1 is not a text"),
        ("[a]: 1", "is not a text"),
        ("? {a: 1}\n: 1", "is not a text"),
        ("- 1", "instead of keys and values"),
        ("", "empty"),
        ("# nothing", "empty"),
        ("a: 1e999", "too large"),
        ("a: 99999999999999999999", "too large"),
        (f"a: {'9' * 5000}", "a number has at most"),
        (f"a: {'1:' * 5000}1", "a number has at most"),
        (f"a: {'x' * (MAX_TEXT + 1)}", "a is a text of 4097 characters"),
        ('a: "\\e[31m"', "which no text may have"),
        ('a: "\\ud800"', "which no text may have"),
        ('a: "x\\ny"', "which no text may have"),
        ('"a\\0": 1', "which no text may have"),
        ("a: |\n  x\n  y\n", "which no text may have"),
        ('a: "\\UFFFFFFFF"', "not valid YAML"),
        ('a: "\\U00110000"', "not valid YAML"),
        ("a: \x07", "not valid YAML"),
        ("\ufeffa: 1", "byte order mark"),
    ],
)
def test_the_rest_of_yaml_is_refused(content: str, complaint: str) -> None:
    with pytest.raises(MapError, match=complaint) as caught:
        load(content.encode())
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(MapError, match="not valid YAML"):
        load("a: Küche\n".encode(encoding))


@pytest.mark.parametrize("bracket", ["[", "{", "{a: ", "- ", "? ", "[[", "[{a: "])
def test_depth_is_bounded(bracket: str) -> None:
    with pytest.raises(MapError, match=f"more than {MAX_DEPTH} lists and mappings"):
        load(bracket.encode() * 20_000)


def test_the_number_of_values_is_bounded() -> None:
    with pytest.raises(MapError, match="more than 5000 values"):
        load(b"a: [" + b"1," * 20_000 + b"1]")


def test_events_after_the_first_one_that_is_refused_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sender writes behind it costs nothing."""
    made = 0
    parse = yaml.parse

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        for event in parse(*arguments, **named):
            made += 1
            yield event

    monkeypatch.setattr(yaml, "parse", counted)
    with pytest.raises(MapError, match="anchors"):
        load(b"a: &x [1]\n" + b"b: [*x, *x]\n" * 5000)
    assert made < 10


def test_a_document_by_hand_with_comments_and_quotes() -> None:
    content = "---\n# thresholds\na: 1  # one\n'b': [1.5, -2, 1.0e-05, 'x', \"y\", two words]\nc: {}\nd: null\n"
    assert load(content.encode()) == {"a": 1, "b": [1.5, -2, 1e-5, "x", "y", "two words"], "c": {}, "d": None}
