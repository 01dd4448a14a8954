import random

from hpo.advise import advise
from hpo.insight import Insight, read_material


def kinds(folder):
    return {one.kind: one for one in advise(Insight(read_material(folder)))}


def lr_study(trial, lr_of, n: int = 24):
    """Trials whose value depends on the lr alone: the nearer to ``lr_of(0)``, the better."""
    records = []
    for number in range(n):
        record = trial(number, 0.9 - number / 100)
        params = {
            "model.n_layers": random.Random(number).randint(1, 3),
            "optimizer.lr": lr_of(number),
        }
        records.append(record.model_copy(update={"params": params}))
    return records


def test_a_bound_where_the_best_lie_is_moved_with_its_evidence(trial, write_study) -> None:
    found = kinds(write_study(lr_study(trial, lambda n: 0.099 * 0.95**n)))
    one = found["bound"]
    assert one.what == "raise the high end of optimizer.lr from 0.1 to 0.56"
    assert "of the best 5 trials lie within 5 % of it; the best one has 0.099" in one.because
    assert one.move == ("optimizer.lr", "high", 0.56)
    assert one.evidence["bound"] == 0.1


def test_what_is_not_above_a_parameter_without_effect_is_decided(trial, write_study) -> None:
    one = kinds(write_study(lr_study(trial, lambda n: 0.01 * 0.8**n)))["drop"]
    assert one.drop == "model.n_layers"
    assert "a parameter without effect reaches" in one.because


def test_epochs_follow_where_the_best_ones_were_best(trial, write_study) -> None:
    late = [trial(n, 0.5 + n / 100, run={"best_epoch": 4.0}) for n in range(8)]
    curves = {n: (0.1, 0.2, 0.3, 0.5 + n / 100) for n in range(8)}
    assert kinds(write_study(late, "late", curves))["epochs"].settings == {"trainer.max_epochs": 6}
    early = [trial(n, 0.5 + n / 100, run={"best_epoch": 1.0}) for n in range(8)]
    one = kinds(write_study(early, "early", {n: (0.5, 0.4, 0.3, 0.2) for n in range(8)}))["epochs"]
    assert one.settings == {"trainer.max_epochs": 2}
    middle = [trial(n, 0.5 + n / 100, run={"best_epoch": 3.0}) for n in range(8)]
    assert "epochs" not in kinds(write_study(middle, "middle", curves))


def test_an_eager_pruner_is_named_by_its_audit(trial, write_study) -> None:
    records = [trial(n, 0.5 + n / 1000) for n in range(60)]
    records += [trial(n, 0.9 + n / 1000, audit=1) for n in range(60, 64)]
    one = kinds(write_study(records))["pruner"]
    assert one.what == "stop later: the pruner throws good trials away"
    assert "4 of 4 audited trials ended among the best tenth" in one.because
    assert one.settings == {"search.pruner.n_warmup_validations": 3}


def test_an_idle_pruner_is_named(trial, write_study) -> None:
    one = kinds(write_study([trial(n, 0.5 + n / 100) for n in range(24)]))["pruner"]
    assert one.what.startswith("prune harder, or not at all")
    assert one.evidence["pruned"] == 0


def test_a_pruner_without_an_audit_is_to_be_audited(trial, write_study) -> None:
    records = [trial(n, 0.5 + n / 100) for n in range(10)]
    records += [trial(n, 0.3, state="pruned") for n in range(10, 34)]
    assert kinds(write_study(records))["pruner"].settings == {"search.audit": 0.1}
    search = {"sampler": "random", "pruner": "median", "audit": 0.3}
    assert "pruner" not in kinds(write_study(records, "audited", search=search))


def test_a_family_far_behind_is_left_out(trial, write_study) -> None:
    def of(number: int, value: float, family: str):
        record = trial(number, value)
        config = {**record.config, "model": {"family": family}}
        return record.model_copy(update={"config": config, "params": {"model": family}})

    records = [of(n, 0.9 + n / 1000, "mlp") for n in range(10)]
    records += [of(n, 0.5, "tabm") for n in range(10, 16)]
    records += [of(n, 0.5, "resnet_mlp") for n in range(16, 18)]  # too few to give up
    model = {"one_of": {"mlp": {}, "tabm": {}, "resnet_mlp": {}}}
    one = kinds(write_study(records, model=model))["family"]
    assert one.what == "leave out tabm"
    assert one.keep == ("mlp", "resnet_mlp")


def test_failures_are_traced_to_what_they_have_in_common(trial, write_study) -> None:
    records = [trial(n, 0.5 + n / 100) for n in range(15)]
    for number in range(15, 21):
        failed = trial(number, None, reason="nan", what="the loss is nan")
        params = {**failed.params, "model.n_layers": 3}
        records.append(failed.model_copy(update={"params": params}))
    one = kinds(write_study(records))["failures"]
    assert one.what == "avoid what fails as nan"
    assert "100% of them with model.n_layers 3 (33% of the others)" in one.because


def test_a_long_time_without_a_gain_ends_the_search(trial, write_study) -> None:
    records = [trial(n, 0.9 if n == 3 else 0.5) for n in range(30)]
    assert kinds(write_study(records))["budget"].what.startswith(
        "more of the same search is no use"
    )


def test_records_that_say_nothing_give_no_advice(trial, write_study) -> None:
    assert advise(Insight(read_material(write_study([trial(0, 0.5)])))) == []
