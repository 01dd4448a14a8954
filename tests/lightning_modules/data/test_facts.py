import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.config import (
    ArraysConfig,
    BreastCancerConfig,
    DiabetesConfig,
    DigitsConfig,
    PrepareConfig,
    SourceConfig,
)
from lightning_modules.data.facts import (
    DataFacts,
    bin_edges,
    facts_of,
    facts_of_fitted,
    facts_of_module,
    inputs_of_module,
)
from lightning_modules.data.prepared import prepare_task
from lightning_modules.errors import DataError


class Given(pl.LightningDataModule):
    """Gives the batches that it was made with."""

    def __init__(self, batches: object) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> object:
        return self.batches


class Late(pl.LightningDataModule):
    """Has its rows only after ``prepare_data`` and ``setup("fit")``."""

    def prepare_data(self) -> None:
        self.x = torch.zeros(5, 3)

    def setup(self, stage: str) -> None:
        self.y = torch.tensor([0, 1, 2, 2, 1]) if stage == "fit" else torch.zeros(0)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(self.x, self.y), batch_size=2)


def facts(*batches: object, kind: str = "multiclass") -> DataFacts:
    return facts_of_module(lambda: Given(batches), kind)


@pytest.mark.parametrize(
    ("config", "kind", "shape", "n_outputs", "n_classes"),
    [
        (DigitsConfig(), "multiclass", (1, 8, 8), 10, 10),
        (BreastCancerConfig(), "binary", (30,), 1, 2),
    ],
)
def test_classes_and_shape_come_from_prepared_data(
    config: SourceConfig, kind: str, shape: tuple[int, ...], n_outputs: int, n_classes: int
) -> None:
    data = prepare_task(config, task_kind=kind)
    found = facts_of(data)
    assert (found.input_shape, found.n_outputs) == (shape, n_outputs)
    assert found.classes == data.classes
    assert found.class_counts is not None
    assert len(found.class_counts) == n_classes
    assert sum(found.class_counts) == data.n_rows["train"]


def test_a_logarithmic_target_is_measured_in_its_own_units() -> None:
    plain = prepare_task(DiabetesConfig(), task_kind="regression")
    config = DiabetesConfig(prepare=PrepareConfig(target="log"))
    data = prepare_task(config, task_kind="regression")
    assert not torch.allclose(data.train.y, plain.train.y, atol=0.1)
    torch.testing.assert_close(
        facts_of(data).in_units(data.train.y),
        facts_of(plain).in_units(plain.train.y),
        rtol=1e-4,
        atol=1e-3,
    )


def test_a_regression_target_keeps_its_units() -> None:
    data = prepare_task(DiabetesConfig(), task_kind="regression")
    found = facts_of(data)
    assert (found.n_outputs, found.classes, found.class_counts) == (1, None, None)
    restored = data.train.y.numpy() * found.target_sd + found.target_mean
    assert restored.mean() == pytest.approx(found.target_mean, rel=1e-5)
    assert np.std(restored) == pytest.approx(found.target_sd, rel=1e-5)


def test_fitted_statistics_alone_hold_the_same_facts_but_the_counts() -> None:
    data = prepare_task(BreastCancerConfig(), task_kind="binary")
    alone, whole = facts_of_fitted(data.fitted, "binary"), facts_of(data)
    assert alone.class_counts is None
    assert (alone.input_shape, alone.n_outputs, alone.classes) == (
        whole.input_shape,
        whole.n_outputs,
        whole.classes,
    )


def test_a_users_data_module_is_looked_at_as_lightning_would_use_it() -> None:
    found = facts_of_module(Late, "multiclass")
    assert found.input_shape == (3,)
    assert found.n_outputs == 3
    assert found.class_counts == [1, 2, 2]


def test_a_users_binary_task_has_one_output_and_a_regression_no_counts() -> None:
    x, y = torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 1, 0])
    assert facts([x, y], kind="binary").n_outputs == 1
    assert facts((x, y), kind="binary").class_counts == [2, 2]
    assert facts((x, y.float()), kind="regression") == DataFacts(
        input_shape=(1, 2, 2), n_outputs=1, input_kind="image"
    )


def test_a_users_labels_are_counted_and_several_numbers_have_an_output_each() -> None:
    x, y = torch.zeros(4, 3), torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    found = facts([x, y], kind="multilabel")
    assert (found.n_outputs, found.label_counts) == (2, [[3, 1], [1, 3]])
    assert facts([x, 7 * y], kind="regression").n_outputs == 2


def test_statistics_of_several_targets_alone_hold_their_names_and_scales() -> None:
    x = np.arange(60.0).reshape(30, 2)
    y = x * [1, 10]
    give_arrays("facts of several", x, pd.DataFrame(y, columns=["low", "high"]))
    data = prepare_task(ArraysConfig(name="facts of several"), task_kind="regression")
    found = facts_of_fitted(data.fitted, "regression")
    assert found == facts_of(data)
    assert (found.n_outputs, found.target_names) == (2, ["low", "high"])
    rows = found.in_units(data.train.y)
    assert float(rows[:, 1].mean()) == pytest.approx(10 * (float(rows[:, 0].mean()) + 1), rel=1e-4)


def test_whole_numbers_over_steps_are_text_and_numbers_in_channels_are_sequences() -> None:
    y = torch.tensor([0, 1, 2, 0])
    first, second = torch.tensor([[4, 2, 0]] * 4), torch.tensor([[9, 2, 0]] * 4)
    text = facts((first, y), (second, y))
    assert (text.input_kind, text.n_tokens, text.padded) == ("text", 10, True)
    sequence = facts((torch.zeros(4, 5, 2), y))
    assert (sequence.input_kind, sequence.n_tokens, sequence.padded) == ("sequence", None, False)
    assert facts((torch.zeros(4, 5), y)).input_kind == "features"


def test_blank_rows_are_of_real_steps_alone() -> None:
    text = DataFacts(input_shape=(3,), n_outputs=2, input_kind="text", n_tokens=5, padded=True)
    assert torch.equal(text.blank(2), torch.ones(2, 3, dtype=torch.int64))
    padded = DataFacts(input_shape=(3, 2), n_outputs=2, input_kind="sequence", padded=True)
    assert padded.blank(1).tolist() == [[[0, 1], [0, 1], [0, 1]]]
    image = DataFacts(input_shape=(1, 2, 2), n_outputs=2, input_kind="image")
    assert torch.equal(image.blank(2), torch.zeros(2, 1, 2, 2))


@pytest.mark.parametrize(
    ("batches", "kind", "message"),
    [
        ([], "multiclass", "Given: gives no training batch; check its train_dataloader"),
        ([torch.zeros(2, 3)], "multiclass", "a batch is a Tensor, no pair; families need batches"),
        ([{"x": 1}], "multiclass", "a batch is a dict, no pair"),
        ([(torch.zeros(2), torch.zeros(2), 1)], "multiclass", "a batch is a tuple, no pair"),
        ([([1, 2], torch.zeros(2))], "multiclass", r"a batch holds no tensors; families need \(in"),
        (
            [(torch.zeros(2, 3), torch.zeros(2))],
            "multiclass",
            r"targets are torch.float32 of shape \(2,\); a multiclass task needs whole class numb",
        ),
        (
            [(torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.int64))],
            "binary",
            r"targets are torch.int64 of shape \(2, 1\); a binary task needs",
        ),
        (
            [(torch.zeros(3, 3), torch.tensor([0, 1, 2]))],
            "binary",
            "3 classes; set task.kind: multiclass",
        ),
        (
            [(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]]))],
            "multilabel",
            r"targets are torch.int64 of shape \(2, 2\); a multilabel task needs floats of 0 or 1",
        ),
        ([(torch.zeros(1, 3), torch.tensor([[0.5, 1]]))], "multilabel", "needs floats of 0 or 1"),
        ([(torch.zeros(1, 3), torch.zeros(1, 2, 2))], "regression", r"needs \(rows,\) or \(rows"),
    ],
)
def test_batches_that_do_not_fit_the_task_are_refused(
    batches: list[object], kind: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        facts(*batches, kind=kind)


def test_bin_edges_are_quantiles_of_every_feature() -> None:
    rows = torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, 9.0]])
    assert bin_edges(rows, 2) == [[0.0, 2.0, 4.0], [5.0, 5.0, 9.0]]


def test_bin_edges_of_images_are_those_of_every_pixel() -> None:
    rows = torch.arange(8.0).view(2, 1, 2, 2)
    assert bin_edges(rows, 2) == [[0, 2, 4], [1, 3, 5], [2, 4, 6], [3, 5, 7]]


def test_the_inputs_of_a_data_module_are_those_of_its_training_batches() -> None:
    x = torch.arange(6.0).view(3, 2)
    batches = [(x[:2], torch.zeros(2)), (x[2:], torch.zeros(1))]
    assert torch.equal(inputs_of_module(lambda: Given(batches)), x)
    assert inputs_of_module(Late).shape == (5, 3)
