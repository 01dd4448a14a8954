import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.seeds import derive

parts = st.lists(st.one_of(st.integers(), st.text(alphabet="ab0")), min_size=1, max_size=4)


@given(parts)
def test_a_seed_fits_every_generator(given_parts: list[int | str]) -> None:
    assert 0 <= derive(*given_parts) < 2**32


@given(parts, parts)
def test_equal_parts_give_equal_seeds_and_others_do_not(
    one: list[int | str], other: list[int | str]
) -> None:
    same = [str(part) for part in one] == [str(part) for part in other]
    assert (derive(*one) == derive(*other)) is same


def test_where_one_part_ends_matters() -> None:
    assert derive("ab", "c") != derive("a", "bc")


def test_a_seed_is_the_same_in_another_process() -> None:
    code = "from lightning_modules.seeds import derive; print(derive(7, 'init'))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(output.stdout) == derive(7, "init")
