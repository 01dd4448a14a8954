import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.batches import EVALUATION_BATCH, Batches, BatchesState, EpochOrder


def shuffled(n: int = 10, batch_size: int = 3, seed: int = 0) -> Batches:
    rows = torch.arange(n)
    return Batches(rows[:, None].float(), rows, batch_size=batch_size, shuffle=True, seed=seed)


def epoch(batches: Batches, number: int) -> list[list[int]]:
    batches.sampler.set_epoch(number)
    return [y.tolist() for _, y in batches]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**32 - 1), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_row_comes_once_and_its_x_with_its_y(
    n: int, batch_size: int, seed: int, number: int
) -> None:
    batches = shuffled(n, batch_size, seed)
    batches.sampler.set_epoch(number)
    given_out = list(batches)
    assert len(given_out) == len(batches)
    assert sorted(torch.cat([y for _, y in given_out]).tolist()) == list(range(n))
    assert all((x[:, 0] == y).all() for x, y in given_out)
    sizes = [len(y) for _, y in given_out]
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] > 1 or n == 1 or batch_size == 1


def test_the_order_is_of_seed_and_epoch_alone() -> None:
    assert epoch(shuffled(), 3) == epoch(shuffled(), 3)
    used = shuffled()
    epoch(used, 0)
    assert epoch(used, 3) == epoch(shuffled(), 3)
    assert epoch(used, 3) != epoch(used, 4)
    assert epoch(used, 3) != epoch(shuffled(seed=1), 3)


def test_the_order_does_not_touch_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    list(shuffled())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_epoch_that_is_set_after_iter_counts() -> None:
    batches = shuffled()
    iterator = iter(batches)
    batches.sampler.set_epoch(5)
    assert [y.tolist() for _, y in iterator] == epoch(shuffled(), 5)


def test_without_shuffling_rows_come_in_order_and_in_large_batches() -> None:
    rows = torch.arange(2 * EVALUATION_BATCH + 1)
    batches = Batches(rows, rows, batch_size=4, shuffle=False, seed=0)
    assert [len(y) for _, y in batches] == [EVALUATION_BATCH, EVALUATION_BATCH + 1]
    assert torch.equal(torch.cat([y for _, y in batches]), rows)
    assert batches.batch_size == EVALUATION_BATCH


@pytest.mark.parametrize("given_out", range(4))
def test_an_epoch_goes_on_where_it_was_left(given_out: int) -> None:
    whole = epoch(shuffled(), 2)
    first = shuffled()
    first.sampler.set_epoch(2)
    for _, _ in zip(range(given_out), first, strict=False):
        pass
    state = BatchesState(epoch=2, batches=given_out)
    assert given_out == 0 or first.state_dict() == state
    second = shuffled()
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert epoch(second, 2) == whole[given_out:]
    assert epoch(second, 2) == whole


def test_a_state_of_another_epoch_starts_from_the_first_batch() -> None:
    batches = shuffled()
    batches.load_state_dict({"epoch": 1, "batches": 2})
    assert epoch(batches, 2) == epoch(shuffled(), 2)


def test_tensors_that_do_not_fit_are_refused() -> None:
    for n_x, n_y in ((2, 3), (0, 0)):
        with pytest.raises(ValueError, match=f"equal lengths above 0, got {n_x} and {n_y}"):
            Batches(torch.zeros(n_x), torch.zeros(n_y), batch_size=1, shuffle=True, seed=0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        shuffled(batch_size=0)


@given(st.integers(2, 60), st.integers(2, 20), st.integers(2, 4), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_processes_take_equal_shares_of_every_batch_and_no_row_twice(
    n: int, batch_size: int, n_shares: int, number: int
) -> None:
    if min(n, batch_size) < n_shares:
        return
    rows = torch.arange(n)
    shares = [
        Batches(
            rows[:, None],
            rows,
            batch_size=batch_size,
            shuffle=True,
            seed=0,
            share=(rank, n_shares),
        )
        for rank in range(n_shares)
    ]
    of_each = [epoch(batches, number) for batches in shares]
    assert {len(batches) for batches in shares} == {len(given_out) for given_out in of_each}
    for parts in zip(*of_each, strict=True):
        assert len({len(part) for part in parts}) == 1
    taken = [row for given_out in of_each for batch in given_out for row in batch]
    assert len(set(taken)) == len(taken) == n - n % n_shares


def test_the_shares_of_a_batch_make_up_the_batch_of_one_process() -> None:
    rows = torch.arange(12)
    alone = shuffled(12, 4)
    first, second = (
        Batches(rows[:, None], rows, batch_size=4, shuffle=True, seed=0, share=(rank, 2))
        for rank in range(2)
    )
    for whole, left, right in zip(epoch(alone, 3), epoch(first, 3), epoch(second, 3), strict=True):
        assert (whole[::2], whole[1::2]) == (left, right)


@pytest.mark.parametrize(("n", "batch_size"), [(2, 4), (4, 2)])
def test_rows_that_do_not_reach_every_process_are_refused(n: int, batch_size: int) -> None:
    rows = torch.arange(n)
    with pytest.raises(ValueError, match="2 rows cannot be shared by 3"):
        Batches(rows[:, None], rows, batch_size=batch_size, shuffle=True, seed=0, share=(0, 3))


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([0, 0, 0, 0, 1, 2]), min_size=3, max_size=40),
    st.integers(0, 3),
    st.integers(0, 9),
)
def test_balanced_epochs_have_as_many_rows_of_each_class_and_use_each_as_often(
    labels: list[int], epoch: int, seed: int
) -> None:
    classes = torch.tensor(labels)
    order = EpochOrder(len(labels), shuffle=True, seed=seed, classes=classes)
    order.set_epoch(epoch)
    rows = order.rows()
    assert len(rows) == len(labels)
    drawn = [int((classes[rows] == c).sum()) for c in classes.unique()]
    assert max(drawn) - min(drawn) <= 1
    times = torch.bincount(rows, minlength=len(labels))
    for c in classes.unique():
        assert int(times[classes == c].max() - times[classes == c].min()) <= 1
    assert torch.equal(rows, order.rows())


def test_balanced_epochs_differ_and_mix_their_classes() -> None:
    classes = torch.tensor([0] * 90 + [1] * 10)
    batches = Batches(
        torch.arange(100.0)[:, None], classes, batch_size=20, shuffle=True, seed=0, balanced=True
    )
    seen = []
    for epoch in range(3):
        batches.sampler.set_epoch(epoch)
        parts = list(batches)
        assert all(3 <= int(y.sum()) <= 17 for _, y in parts)
        seen.append(torch.cat([x[:, 0] for x, _ in parts]))
    assert not torch.equal(seen[0], seen[1])
    assert len(torch.cat(seen).unique()) > 75  # rows that one epoch leaves out come in another


def test_balanced_batches_go_on_where_they_stood() -> None:
    x, y = torch.arange(30.0)[:, None], torch.tensor([0] * 24 + [1] * 6)

    def made() -> Batches:
        return Batches(x, y, batch_size=8, shuffle=True, seed=3, balanced=True)

    whole, part, rest = list(made()), made(), made()
    first = next(iter(part))
    rest.load_state_dict(part.state_dict())
    together = torch.cat([first[0], *(x for x, _ in rest)])
    assert torch.equal(together, torch.cat([x for x, _ in whole]))


class Seeds:
    """An augmentation that only notes its seeds."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, *, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(seed)
        return x, y


def seeds(*, number: int = 0, seed: int = 0, rank: int = 0, shuffle: bool = True) -> list[int]:
    """Return the seeds that the batches of an epoch are augmented with."""
    augment, rows = Seeds(), torch.arange(20)
    batches = Batches(
        rows, rows, batch_size=4, shuffle=shuffle, seed=seed, share=(rank, 2), augment=augment
    )
    epoch(batches, number)
    return augment.seen


def test_every_batch_of_every_epoch_and_process_is_augmented_with_a_seed_of_its_own() -> None:
    found = [*seeds(), *seeds(number=1), *seeds(seed=1), *seeds(rank=1)]
    assert len(set(found)) == len(found) == 20
    assert seeds(number=1) == seeds(number=1)


def test_rows_that_come_in_order_are_never_augmented() -> None:
    assert seeds(shuffle=False) == []
