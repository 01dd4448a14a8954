from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from lightning_modules.data.config import CsvConfig
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.tables import load_csv
from lightning_modules.errors import DataError

TEXTS = {
    "utf-8": "城市,größe,y\n上海,1.5,好\n北京,2,否\n",
    "gb18030": "城市,价格,结果\n上海浦东新区,1.5,好\n北京市海淀区,2,不好\n广州,3,好\n",
    "big5": "城市,價格,結果\n臺北市信義區,1.5,好\n高雄市左營區,2,不好\n臺中,3,好\n",
    "shift_jis": "都市,価格,結果\n東京都千代田区,1.5,はい\n大阪府,2,いいえ\nオオサカ,3,はい\n",
    "cp1252": "Straße,Größe,y\nMünchner Straße,1.5,schön\nÄrztehaus,2,hässlich – sehr\nCafé,3,à\n",
    "latin-1": "a,größe,y\nüber,1,ä\x9d\nfür,2,ö\nmöglich,2,ö\n",
}


def csv(folder: Path, raw: bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("encoding", list(TEXTS))
def test_an_encoding_is_recognised_by_what_the_text_is_made_of(
    tmp_path: Path, encoding: str
) -> None:
    path = csv(tmp_path, TEXTS[encoding].encode(encoding))
    form = recognise_form(path, where="t")
    assert path.read_bytes().decode(form.encoding) == TEXTS[encoding]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_recognised_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    text = "name,größe,y\n" + "über,1.5,ja\n上海,2,nein\n" * 20
    raw = load_csv(CsvConfig(path=str(csv(tmp_path, text.encode(encoding))), target="y"))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["name", "größe"]
    assert list(raw.x["name"][:2]) == ["über", "上海"]
    assert list(raw.x["größe"][:2]) == [1.5, 2.0]


def test_a_wrong_byte_far_into_the_file_is_read_in_the_encoding_of_its_place(
    tmp_path: Path,
) -> None:
    text = "name,y\n" + "plain,1\n" * 200_000 + "上海浦东新区,2\n北京市海淀区,2\n"
    path = csv(tmp_path, text.encode("gb18030"))
    assert recognise_form(path, where="t").encoding == "gb18030"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_recognised(tmp_path: Path, delimiter: str) -> None:
    lines = [("a", "b", "y"), ("1.5", '"x, y; z"', "u"), ("2", "w", "v")]
    text = "\n".join(delimiter.join(line) for line in lines) + "\n"
    path = csv(tmp_path, text.encode())
    assert recognise_form(path, where="t") == CsvForm(delimiter=delimiter)
    raw = load_csv(CsvConfig(path=str(path), target="y"))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x["a"]) == [1.5, 2.0]
    assert list(raw.x["b"]) == ["x, y; z", "w"]


def test_decimal_commas_are_numbers_where_the_comma_is_no_delimiter(tmp_path: Path) -> None:
    path = csv(tmp_path, b"a;b;y\n1,5;2;u\n-2,25;3;v\n")
    assert recognise_form(path, where="t") == CsvForm(delimiter=";", decimal=",")
    raw = load_csv(CsvConfig(path=str(path), target="y"))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x["a"]) == [1.5, -2.25]


def test_points_beside_commas_are_no_decimal_commas(tmp_path: Path) -> None:
    path = csv(tmp_path, b"a;b;y\n1,5;2.5;u\n2,2;3;v\n")
    assert recognise_form(path, where="t") == CsvForm(delimiter=";")


def test_a_table_of_commas_stays_one_of_commas(tmp_path: Path) -> None:
    path = csv(tmp_path, b'text,y\n"a;b;c",1\n"d;e;f",2\n')
    assert recognise_form(path, where="t") == CsvForm()


def test_a_line_that_does_not_fit_is_named_with_the_delimiter_of_the_header(
    tmp_path: Path,
) -> None:
    path = csv(tmp_path, b"a;b;y\n1;2;3\n1;2;3;4\n")
    with pytest.raises(DataError, match=r"line 3 has 4 fields, the header has 3; .* a semicolon"):
        load_csv(CsvConfig(path=str(path), target="y"))


def test_what_is_given_is_not_guessed(tmp_path: Path) -> None:
    path = csv(tmp_path, "größe:y\n1:ä\n2:b\n".encode("cp850"))
    raw = load_csv(CsvConfig(path=str(path), target="y", delimiter=":", encoding="cp850"))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["größe"]
    assert list(raw.y) == ["ä", "b"]


def test_an_encoding_that_does_not_fit_names_the_line(tmp_path: Path) -> None:
    path = csv(tmp_path, b"a,y\n1,2\n\xff,3\n")
    with pytest.raises(DataError, match=r"line 3 is not utf-8 \(byte 9 of the file\); set data"):
        load_csv(CsvConfig(path=str(path), target="y", encoding="utf-8"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"encoding": "klingon"}, "encoding: no text encoding 'klingon'; such as utf-8"),
        ({"encoding": "base64"}, "encoding: no text encoding 'base64'"),
        ({"delimiter": "x"}, "delimiter: 'x' cannot stand between fields"),
        ({"delimiter": '"'}, "delimiter: '\"' cannot stand"),
    ],
)
def test_what_cannot_be_a_form_is_refused(setting: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CsvConfig.model_validate({"path": "t.csv", "target": "y", **setting})


def test_a_form_that_is_not_given_is_not_in_the_record() -> None:
    plain = CsvConfig(path="t.csv", target="y").model_dump()
    assert not {"delimiter", "encoding"} & set(plain)
