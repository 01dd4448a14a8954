import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.data.augment_config import AugmentConfig
from lightning_modules.data.mix import Mix, draw_mix, mix_rows, soft_targets

MIXUP, CUTMIX = AugmentConfig(mixup=0.5), AugmentConfig(cutmix=1.0)
BOTH = AugmentConfig(mixup=0.5, cutmix=1.0)


def test_mixup_blends_inputs_and_targets_by_the_same_shares() -> None:
    x, y = torch.tensor([[0.0, 4.0], [8.0, 0.0]]), torch.tensor([0, 1])
    mix = Mix(partner=torch.tensor([1, 0]), kept=0.75)
    mixed_x, mixed_y = mix_rows(x, soft_targets(y, 3), mix)
    assert mixed_x.tolist() == [[2.0, 3.0], [6.0, 1.0]]
    assert mixed_y.tolist() == [[0.75, 0.25, 0.0], [0.25, 0.75, 0.0]]
    numbers = mix_rows(x, soft_targets(y, None), mix)[1]
    assert numbers.tolist() == [0.25, 0.75]


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_cutmix_takes_a_rectangle_and_as_much_of_the_target(
    seed: int, height: int, width: int
) -> None:
    x = torch.arange(3.0)[:, None, None, None].expand(3, 2, height, width)
    mix = draw_mix(CUTMIX, 3, seed=seed)
    mixed, shares = mix_rows(x, soft_targets(torch.arange(3), 3), mix)
    assert torch.equal(mixed[:, 0], mixed[:, 1])
    for row, partner in enumerate(mix.partner.tolist()):
        own, taken = (mixed[row, 0] == row), (mixed[row, 0] == partner)
        assert bool((own | taken).all())
        if partner != row:
            assert float(taken.float().mean()) == pytest.approx(float(shares[row, partner]))
            rows, columns = taken.any(1), taken.any(0)
            assert int(rows.sum() * columns.sum()) == int(taken.sum())
    torch.testing.assert_close(shares.sum(1), torch.ones(3))


@given(st.integers(0, 2**32 - 1))
def test_a_mix_is_of_its_seed_and_every_row_is_a_partner_once(seed: int) -> None:
    one, two = (draw_mix(BOTH, 7, seed=seed) for _ in range(2))
    assert (one.kept, one.center) == (two.kept, two.center)
    assert torch.equal(one.partner, two.partner)
    assert sorted(one.partner.tolist()) == list(range(7))
    assert 0 <= one.kept <= 1


def test_mixup_and_cutmix_take_turns() -> None:
    boxes = [draw_mix(BOTH, 2, seed=seed).center is not None for seed in range(40)]
    assert 8 < sum(boxes) < 32
    assert not any(draw_mix(MIXUP, 2, seed=seed).center for seed in range(9))


def test_a_larger_alpha_mixes_more() -> None:
    def lesser(alpha: float) -> float:
        config = AugmentConfig(mixup=alpha)
        kept = [draw_mix(config, 2, seed=seed).kept for seed in range(200)]
        return sum(min(share, 1 - share) for share in kept) / len(kept)

    assert lesser(0.1) < lesser(1.0) < lesser(10.0)
