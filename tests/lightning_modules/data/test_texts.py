import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data import texts
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.prepare import fit_preparation, input_of
from lightning_modules.data.texts import TextPreparation, fit_texts
from lightning_modules.errors import DataError

TEXTS = ["The cat sat.", "the dog: the DOG!", "坐在垫子上", "cafe\u0301 caf\u00e9"]


def of(*rows: str | None) -> Any:
    return np.array([*rows], dtype=object)


def fitted(*rows: str | None, **prepare: Any) -> TextPreparation:
    return fit_texts(of(*rows), PrepareConfig(**prepare))


def spelled(preparation: TextPreparation, text: str | None) -> list[str]:
    names = ["", "?", *preparation.vocabulary]
    return [names[number] for number in preparation.apply(of(text))[0] if number]


def test_words_and_punctuation_are_tokens_the_most_frequent_first() -> None:
    preparation = fitted(*TEXTS[:2])
    assert preparation.vocabulary[:2] == ["the", "dog"]
    assert spelled(preparation, "The DOG sat on it!") == ["the", "dog", "sat", "?", "?", "!"]
    assert input_of(preparation) == ("text", len(preparation.vocabulary) + 2, True)


def test_upper_case_counts_where_it_shall() -> None:
    assert spelled(fitted(*TEXTS, lowercase=False), "dog DOG Dog") == ["dog", "DOG", "?"]


def test_characters_that_look_alike_are_one() -> None:
    assert fitted(TEXTS[3]).vocabulary == ["caf\u00e9"]


def test_chinese_is_told_apart_by_its_characters() -> None:
    preparation = fitted(*TEXTS, tokens="characters")
    assert spelled(preparation, "坐上 \n 猫") == ["坐", "上", " ", "?"]


def test_of_many_tokens_the_frequent_ones_are_kept() -> None:
    assert fitted("a a a", "c c b b d", vocabulary=2).vocabulary == ["a", "b"]


def test_the_length_is_that_of_the_longest_training_text_up_to_a_limit() -> None:
    assert fitted("a b", "a b c d").length == 4
    assert fitted("a " * 1000).length == texts.LONGEST
    assert fitted("a " * 1000, length=300).length == 300
    assert fitted("a b", length=3).apply(of("a b b a", "b")).tolist() == [[2, 3, 3], [3, 0, 0]]


def test_a_text_without_tokens_is_one_unknown_token() -> None:
    preparation = fitted("a b", "b")
    assert preparation.apply(of("", None, " \t", float("nan"))).tolist() == [[1, 0]] * 4  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [[""], [None, "  "]])
def test_training_texts_without_any_token_are_refused(rows: list[str | None]) -> None:
    with pytest.raises(DataError, match="no training text has a word; name another column"):
        fitted(*rows)


def test_pairs_are_learned_from_the_training_texts() -> None:
    rows = ["low lower lowest", "new newer newest"] * 5
    preparation = fitted(*rows, tokens="bpe", vocabulary=20)
    assert len(preparation.vocabulary) <= 20
    assert spelled(preparation, "lowest") != list("lowest")
    assert "".join(spelled(preparation, "newest low")) == "newestlow"
    assert spelled(preparation, "zzz")[0] == "?"
    assert fitted(*rows, tokens="bpe", vocabulary=20) == preparation


def test_fewer_pairs_than_characters_leave_the_frequent_characters() -> None:
    preparation = fitted("aaab bbaa cd", tokens="bpe", vocabulary=2)
    assert sorted(preparation.vocabulary) == ["a", "b"]


def test_without_its_library_bpe_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"bpe needs the library tokenizers; pip install 'hpo\[t"):
        fitted("a b", tokens="bpe")
    assert fitted("a b").length == 2


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=5),
    st.text(max_size=12),
    st.sampled_from(["words", "characters", "bpe"]),
)
@settings(max_examples=50, deadline=None)
def test_any_text_becomes_known_numbers_the_same_after_json(
    rows: list[str], new: str, tokens: str
) -> None:
    try:
        preparation = fitted(*rows, "a b", tokens=tokens)
    except DataError:
        return
    numbers = preparation.apply(of(*rows, new))
    assert numbers.shape == (len(rows) + 1, preparation.length)
    assert ((numbers >= 0) & (numbers < preparation.n_tokens)).all()
    assert (numbers[:, 0] > 0).all()
    padding = numbers == 0
    assert (padding[:, 1:] >= padding[:, :-1]).all()
    again = TextPreparation.model_validate(json.loads(preparation.model_dump_json()))
    assert (again.apply(of(*rows, new)) == numbers).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scale": "none"}, "data.prepare.scale: is for tables and images and sequences, not for"),
        ({"difference": 1}, "data.prepare.difference: is for sequences, not for texts"),
    ],
)
def test_settings_without_effect_on_texts_are_refused(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_preparation(of("a", "b"), PrepareConfig(**setting))
