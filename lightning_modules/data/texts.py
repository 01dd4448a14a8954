"""Turn raw texts into token numbers of one length, by a vocabulary of the training texts."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.frames import Array
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

PADDING, UNKNOWN = 0, 1
N_SPECIAL = 2
"""How many token numbers are no token of the vocabulary."""
LONGEST = 256
"""Tokens of a text that are kept unless ``data.prepare.length`` says otherwise."""
_UNKNOWN_TEXT = "[UNK]"
_WORDS = re.compile(r"\w+|[^\w\s]")


class TextPreparation(Settings):
    """The vocabulary of the training texts, and the length that all texts are brought to.

    ``vocabulary[i]`` is token ``i + 2``; ``merges`` are the pairs that byte-pair encoding joins, in
    their order.
    """

    kind: Literal["text"] = "text"
    tokens: Literal["words", "characters", "bpe"]
    lowercase: bool
    length: int
    vocabulary: list[str]
    merges: list[list[str]] = Field(default_factory=list, exclude_if=lambda merges: not merges)

    @property
    def n_tokens(self) -> int:
        """How many token numbers there are, padding and unknown included."""
        return len(self.vocabulary) + N_SPECIAL

    def apply(self, texts: Array) -> npt.NDArray[np.int64]:
        """Return the token numbers of ``(rows,)`` texts, ``(rows, length)``, 0 behind the end.

        A text without tokens, or that is missing, is one unknown token.

        Raises:
            DataError: if byte-pair encoding needs tokenizers, and it is missing.
        """
        numbered = np.full((len(texts), self.length), PADDING, dtype=np.int64)
        numbers_of = self._numbers()
        for i, text in enumerate(_plain(texts, lowercase=self.lowercase)):
            found = numbers_of(text)[: self.length] or [UNKNOWN]
            numbered[i, : len(found)] = found
        return numbered

    def _numbers(self) -> Callable[[str], list[int]]:
        known = {token: i + N_SPECIAL for i, token in enumerate(self.vocabulary)}
        if self.tokens == "bpe":
            ours = {_UNKNOWN_TEXT: 0, **{token: i + 1 for i, token in enumerate(self.vocabulary)}}
            tokenizer = _tokenizer(ours, [(first, second) for first, second in self.merges])
            return lambda text: [number + 1 for number in tokenizer.encode(text).ids]
        cut = _CUTS[self.tokens]
        return lambda text: [known.get(token, UNKNOWN) for token in cut(text)]


def words(text: str) -> list[str]:
    """Return words, numbers and single marks of punctuation.

    >>> words("Don't panic, it's 42!")
    ['Don', "'", 't', 'panic', ',', 'it', "'", 's', '42', '!']
    """
    return _WORDS.findall(text)


def characters(text: str) -> list[str]:
    """Return the characters of a text, a space for any white space between them.

    >>> characters(" 你好,  a ")
    ['你', '好', ',', ' ', 'a']
    """
    return list(" ".join(text.split()))


_CUTS: dict[str, Callable[[str], list[str]]] = {"words": words, "characters": characters}


def fit_texts(texts: Array, config: PrepareConfig) -> TextPreparation:
    """Fit on training texts ``(rows,)`` alone.

    The vocabulary is of the most frequent tokens; of equally frequent ones the first in order. The
    length is that of the longest training text, but at most ``LONGEST``, unless it is given.

    Raises:
        DataError: if no text has a token, or byte-pair encoding needs the library tokenizers.
    """
    plain = _plain(texts, lowercase=config.lowercase)
    merges: list[list[str]] = []
    if config.tokens == "bpe":
        vocabulary, merges = _learn_pairs(plain, config.vocabulary)
    else:
        cut = _CUTS[config.tokens]
        vocabulary = _most_frequent((token for text in plain for token in cut(text)), config)
    if not vocabulary:
        raise DataError("data", "no training text has a word", "name another column in data.text")
    fitted = TextPreparation(
        tokens=config.tokens,
        lowercase=config.lowercase,
        length=config.length or LONGEST,
        vocabulary=vocabulary,
        merges=merges,
    )
    if config.length is not None:
        return fitted
    longest = int((fitted.apply(texts) != PADDING).sum(axis=1).max())
    return fitted.model_copy(update={"length": longest})


def _most_frequent(tokens: Iterable[str], config: PrepareConfig) -> list[str]:
    counts = Counter(tokens)
    order = sorted(counts, key=lambda token: (-counts[token], token))
    return order[: config.vocabulary]


def _plain(texts: Array, *, lowercase: bool) -> list[str]:
    """Return texts in one spelling of each character, missing ones empty."""
    plain = [unicodedata.normalize("NFC", text) if isinstance(text, str) else "" for text in texts]
    return [text.lower() for text in plain] if lowercase else plain


def _learn_pairs(texts: Sequence[str], most: int) -> tuple[list[str], list[list[str]]]:
    """Return the tokens of byte-pair encoding, at most so many, and the pairs that it joins."""
    counts = Counter(character for text in texts for word in text.split() for character in word)
    order = sorted(counts, key=lambda character: (-counts[character], character))
    alphabet = order[:most]
    tokenizer = _tokenizer({}, [])
    from tokenizers.trainers import BpeTrainer

    trainer = BpeTrainer(
        vocab_size=most + 1,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[_UNKNOWN_TEXT],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    vocabulary = tokenizer.get_vocab()
    ordered = sorted(vocabulary, key=lambda token: vocabulary[token])[1:]
    return ordered, _merges(tokenizer)


def _merges(tokenizer: Any) -> list[list[str]]:
    return [list(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def _tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """Return a byte-pair encoder that splits at white space and punctuation first."""
    if find_spec("tokenizers") is None:
        what = "bpe needs the library tokenizers"
        raise DataError("data.prepare.tokens", what, "pip install 'hpo[text]'")
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer: Any = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token=_UNKNOWN_TEXT))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer
