import pytest

from lightning_modules.registry import NameTakenError, Registry, UnknownNameError, suggest


@pytest.fixture
def colours() -> Registry[str]:
    colours = Registry[str]("colour")
    colours.register("red")("#f00")
    colours.register("blue")("#00f")
    return colours


def test_entries_come_back_in_the_order_of_registration(colours: Registry[str]) -> None:
    assert dict(colours) == {"red": "#f00", "blue": "#00f"}
    assert list(colours) == ["red", "blue"]
    assert len(colours) == 2


def test_register_hands_its_entry_back() -> None:
    entry = object()
    assert Registry[object]("thing").register("x")(entry) is entry


def test_a_taken_name_is_refused_and_keeps_its_entry(colours: Registry[str]) -> None:
    with pytest.raises(NameTakenError, match=r"^colour 'red' is taken; choose another name$"):
        colours.register("red")("#e00")
    assert colours["red"] == "#f00"


def test_a_renewed_name_has_the_new_entry_in_the_old_place(colours: Registry[str]) -> None:
    colours.renew("red", "#e00")
    assert list(colours.items()) == [("red", "#e00"), ("blue", "#00f")]


def test_an_unknown_name_gets_the_nearest_one(colours: Registry[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"^no colour 'rde'; did you mean 'red'\?$"):
        colours["rde"]


def test_a_name_near_nothing_gets_all_of_them_sorted(colours: Registry[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"^no colour 'zzz'; known: blue, red$"):
        colours["zzz"]


def test_an_unknown_name_is_a_key_error_so_that_get_has_a_default(colours: Registry[str]) -> None:
    assert colours.get("zzz", "none") == "none"
    assert "zzz" not in colours


def test_suggest_takes_a_list() -> None:
    assert suggest("adm", ["adam", "sgd"]) == "did you mean 'adam'?"
