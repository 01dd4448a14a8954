"""CSV cut into blocks: every row once and whole, none with too few or too many fields."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import DataError
from hpo.predict import csv_blocks
from hpo.predict.csv_blocks import open_blocks
from lightning_modules.data.csv_form import CsvForm

FIELDS = st.text(st.sampled_from('ab 1,;"\n\ré'), max_size=6)
BROKEN = st.text(st.sampled_from('ab,"\n\r'), max_size=40)


def cut(text: str | bytes, size: int, form: CsvForm | None = None) -> tuple[list[str], list[bytes]]:
    """Return the header and the blocks of a table that is read so many bytes at a time."""
    content = text.encode() if isinstance(text, str) else text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK_BYTES", size)
        table = open_blocks(io.BytesIO(content), form or CsvForm(), "t")
        return table.header, list(table.blocks)


def written(rows: Sequence[Sequence[str]], *, end: str, quoting: int) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue()


def is_open(text: str) -> bool:
    """Say whether a quote is never closed."""
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def rows_in(content: bytes) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row]


@given(
    rows=st.lists(st.lists(FIELDS, min_size=3, max_size=3), min_size=1, max_size=8),
    size=st.integers(1, 60),
    form=st.sampled_from(
        [("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]
    ),
)
def test_every_row_is_in_one_block_and_whole(
    rows: list[list[str]], size: int, form: tuple[str, int]
) -> None:
    end, quoting = form
    text = written([["a", "b", "c"], *rows], end=end, quoting=quoting)
    header, blocks = cut(text, size)
    assert header == ["a", "b", "c"]
    assert b"".join(blocks).rstrip() in text.split(end, 1)[1].encode()
    assert [row for block in blocks for row in rows_in(block)] == rows


@given(text=BROKEN, size=st.integers(1, 30))
def test_a_table_is_refused_in_blocks_where_it_is_refused_as_a_whole(text: str, size: int) -> None:
    """Stray quotes, lone returns, blank lines, ragged rows: what Python's reader says counts."""
    try:
        read = list(csv.reader(io.StringIO("a,b\n" + text, newline="")))
    except csv.Error:
        with pytest.raises(DataError, match="is not a CSV file"):
            cut("a,b\n" + text, size)
        return
    given_rows = [row for row in read[1:] if len(row) > 1 or (row and row[0].strip())]
    if any(len(row) != 2 for row in given_rows):
        with pytest.raises(DataError, match="the header has 2"):
            cut("a,b\n" + text, size)
        return
    _, blocks = cut("a,b\n" + text, size)
    if is_open(text):
        return  # pandas refuses it
    found = [row for block in blocks for row in rows_in(block) if len(row) > 1]
    assert found == given_rows


@pytest.mark.parametrize("size", [3, 7, 1000])
def test_a_ragged_row_is_named_by_its_line(size: int) -> None:
    text = '\na,b\n1,2\n\n"x\ny",2\n1,2,3\n'
    with pytest.raises(DataError, match=r"t: line 7 has 3 fields, the header has 2; put quotes"):
        cut(text, size)
    with pytest.raises(DataError, match="line 4 has 1 fields"):
        cut('a,b\n1,2\n3,4\n"5,6\n', size)


def test_a_quote_within_a_field_quotes_nothing() -> None:
    with pytest.raises(DataError, match="line 2 has 3 fields, the header has 2"):
        cut('a,b\nx "1,2" y,3\n', 1000)
    _, blocks = cut('a,b\n5" pipe,1\nx,7"\n', 1000)
    assert b"".join(blocks) == b'5" pipe,1\nx,7"\n'


@pytest.mark.parametrize("size", [2, 5, 1000])
def test_other_encodings_and_ends_of_lines_come_as_utf8(size: int) -> None:
    form = CsvForm(encoding="utf-16", delimiter=";")
    _, blocks = cut("a;b\n1;é\n2;ö\n".encode("utf-16"), size, form)
    assert b"".join(blocks).decode() == "1;é\n2;ö\n"
    _, blocks = cut("a;b\r1;x\r2;y", 1000, CsvForm(delimiter=";"))
    assert b"".join(blocks) == b"1;x\n2;y\n"
    header, blocks = cut("\ufeffa,b\n1,2\n", size)
    assert (header, b"".join(blocks)) == (["a", "b"], b"1,2\n")


def test_bytes_that_are_no_text_are_named_by_their_line() -> None:
    with pytest.raises(DataError, match=r"t: line 3 is not utf-8 \(byte 9\); save it as UTF-8, or"):
        cut(b"a,b\n1,2\n\xe9,2\n", 5)


def test_an_empty_table_and_one_without_names_are_refused() -> None:
    for text in ("", "\n \n"):
        with pytest.raises(DataError, match="t: is empty; a header line and rows are needed"):
            cut(text, 10)
    with pytest.raises(DataError, match="column 'a' stands twice"):
        cut("a,a\n1,2\n", 10)
    with pytest.raises(DataError, match="has no header: its first line holds numbers"):
        cut("3,1\n1,2\n", 10)
