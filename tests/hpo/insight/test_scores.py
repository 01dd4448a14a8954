from hpo.insight.scores import scores


def test_a_pruned_trial_takes_the_place_of_its_value_among_the_others_at_that_time(trial) -> None:
    records = [
        trial(0, 0.6),
        trial(1, 0.8),
        trial(2, 0.9),
        trial(3, 0.55, state="pruned", epochs=1.0),
    ]
    curves = {
        0: {1: 0.5, 2: 0.6},
        1: {1: 0.6, 2: 0.8},
        2: {1: 0.7, 2: 0.9},
        3: {1: 0.55},  # between 0 and 1 when it was pruned
    }
    found = scores(records, curves, "maximize")
    assert sorted(found, key=lambda number: found[number]) == [0, 3, 1, 2]


def test_a_trial_pruned_below_everybody_is_last_though_its_value_would_be_high_at_the_end(
    trial,
) -> None:
    records = [trial(0, 0.3), trial(1, 0.35), trial(2, 0.25, state="pruned", epochs=1.0)]
    curves = {0: {1: 0.28, 2: 0.3}, 1: {1: 0.3, 2: 0.35}, 2: {1: 0.25}}
    found = scores(records, curves, "maximize")
    assert min(found, key=lambda number: found[number]) == 2


def test_what_is_minimized_is_turned_round(trial) -> None:
    records = [trial(0, 3.0), trial(1, 1.0), trial(2, 2.0)]
    found = scores(records, {}, "minimize")
    assert sorted(found, key=lambda number: found[number]) == [0, 2, 1]


def test_copies_failures_and_trials_stopped_by_hand_have_no_place(trial) -> None:
    records = [
        trial(0, 0.5),
        trial(1, 0.5, same_as=0),
        trial(2, None),
        trial(3, 0.4, state="pruned", run={"stopped_by": "user"}),
    ]
    assert list(scores(records, {3: {1: 0.4}}, "maximize")) == [0]
