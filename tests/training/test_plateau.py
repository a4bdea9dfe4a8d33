"""ReduceOnPlateau: PyTorch's rule, from the history and the log alone."""

from types import SimpleNamespace

import numpy as np
import pytest

import downslope as ds
from downslope.engines.problem import EpochRecord
from downslope.training.history import History
from downslope.training.log import Entry, Log
from downslope.training.plateau import ReduceOnPlateau


def standing(losses, *, entries=(), rate=0.1, batch=0, validation=None):
    """What a policy looks at, of a run with these losses."""
    history = History("classification", validation=validation is not None)
    for epoch, loss in enumerate(losses):
        row = dict.fromkeys(EpochRecord._fields, 0.0) | {"loss": loss}
        if validation is not None:
            row["validation_loss"] = validation[epoch]
        history.extend([epoch], [EpochRecord(**row)])
    return SimpleNamespace(
        history=history,
        log=Log(entries),
        epoch=len(losses),
        step=len(losses),
        state=SimpleNamespace(batch=batch),
        optimizer=ds.SGD(rate),
    )


def entry(epoch, kind="reduce", **other):
    return Entry(epoch, epoch, kind, "guard", "", optimizer=ds.SGD(0.1), **other)


def documented(losses, *, patience, threshold, cooldown):
    """The epochs after which PyTorch's scheduler lowers the rate, by its documentation."""
    best, bad, left, lowered = float("inf"), 0, 0, []
    for done, loss in enumerate(losses, 1):
        improved = loss < best * (1 - threshold)
        best, bad = (loss, 0) if improved else (best, bad + 1)
        if left > 0:
            left, bad = left - 1, 0
        if bad > patience:
            lowered.append(done)
            left, bad = cooldown, 0
    return lowered


@pytest.mark.parametrize("seed", range(12))
def test_it_acts_at_the_epochs_at_which_pytorchs_scheduler_does(seed):
    random = np.random.default_rng(seed)
    losses = np.exp(-np.linspace(0, random.uniform(0, 2), 150)) + random.normal(0, 0.02, 150)
    losses[random.integers(0, 150, 3)] = np.nan
    patience, cooldown = int(random.integers(0, 6)), int(random.integers(0, 8))
    threshold = float(random.choice([0.0, 1e-4, 0.05]))
    expected = documented(losses, patience=patience, threshold=threshold, cooldown=cooldown)
    policy = ReduceOnPlateau(patience=patience, min_delta=threshold, cooldown=cooldown)

    entries, acted = [], []
    for epochs in range(len(losses) + 1):
        run = standing(losses[:epochs], entries=entries)
        if policy.is_due(run):
            acted.append(epochs)
            entries.append(entry(epochs))
    assert acted == expected
    assert acted  # the sequences do have plateaus


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_missed_by_looking_only_when_it_is_due(seed):
    random = np.random.default_rng(seed)
    losses = 1 + random.normal(0, 0.1, 200)
    policy = ReduceOnPlateau(patience=3, cooldown=4)
    run, acted, looks = standing([]), [], 0
    while run.epoch < 200:
        looks += 1
        for epoch in range(run.epoch, min(policy.due_epoch(run), 200)):  # one history that grows, as a run's does
            run.history.extend([epoch], [EpochRecord(*[losses[epoch]] * 9)])
            run.epoch = epoch + 1
        if policy.is_due(run):
            assert policy.due_epoch(run) == run.epoch
            acted.append(run.epoch)
            run.log.append(entry(run.epoch))
            assert policy.due_epoch(run) == run.epoch + policy.cooldown + policy.patience + 1
    assert acted == documented(losses, patience=3, threshold=1e-4, cooldown=4)
    assert looks < 200 / 3


def test_it_acts_once_and_only_between_epochs():
    policy = ReduceOnPlateau(patience=2)
    losses = [1.0, 1.0, 1.0, 1.0]
    assert policy.is_due(standing(losses))
    assert not policy.is_due(standing(losses[:3]))
    assert not policy.is_due(standing(losses, batch=1))
    assert not policy.is_due(standing(losses, entries=[entry(4)]))


def test_what_a_rollback_undid_does_not_count_as_done():
    policy = ReduceOnPlateau(patience=2)
    undone = [entry(4), Entry(2, 2, "stop", "guard", "", back_from=5)]
    assert policy.is_due(standing([1.0] * 4, entries=undone))


@pytest.mark.parametrize("kind", ["change", "rollback"])
def test_bad_epochs_are_counted_anew_after_a_change(kind):
    policy, losses = ReduceOnPlateau(patience=2), [1.0] * 6
    entries = [entry(3, kind)]
    assert not policy.is_due(standing(losses[:4], entries=entries))
    assert policy.due_epoch(standing(losses[:4], entries=entries)) == 6
    assert policy.is_due(standing(losses, entries=entries))


def test_a_history_that_was_rewritten_is_counted_anew():
    policy = ReduceOnPlateau(patience=2)
    run = standing([1.0, 1.0, 1.0])
    assert policy.due_epoch(run) == 4
    run.history.extend([1], [EpochRecord(*[0.5] * 9)])
    run.history.extend([2], [EpochRecord(*[0.4] * 9)])
    assert policy.due_epoch(run) == 6


def test_the_rate_is_not_brought_below_the_lowest():
    losses = [1.0] * 4
    policy = ReduceOnPlateau(patience=2, factor=0.1, lowest=0.03)
    run = standing(losses, rate=0.1)
    assert policy.is_due(run)
    assert policy.factor_now(run) == pytest.approx(0.3)
    assert policy.told(run) == (
        "epoch 4: the loss is 1 and has not improved on 1 for more than 2 epochs: "
        "learning_rate lowered from 0.1 to 0.03"
    )
    lowest = standing(losses, rate=0.03)
    assert not policy.is_due(lowest)
    assert policy.due_epoch(lowest) is None
    falling = standing(losses, rate=ds.Piecewise([0.03, 0.1], boundaries=[9]))
    assert not policy.is_due(falling)
    assert policy.due_epoch(falling) == 7


def test_the_rate_never_becomes_zero():
    policy = ReduceOnPlateau(patience=0, factor=1e-200)
    assert policy.factor_now(standing([1.0, 1.0], rate=1e-20)) == pytest.approx(1e-10)
    assert not policy.is_due(standing([1.0, 1.0], rate=1e-30))


def test_the_validation_loss_is_looked_at_where_there_is_one():
    policy = ReduceOnPlateau(patience=2, monitor="validation_loss")
    falling, flat = [4.0, 3.0, 2.0, 1.0], [1.0] * 4
    assert policy.is_due(standing(falling, validation=flat))
    assert not policy.is_due(standing(flat, validation=falling))
    with pytest.raises(ds.InputError, match=r"^monitor must be 'loss' where the run has no validation part\."):
        policy.due_epoch(standing(flat))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"factor": 1.0}, "factor must be above 0 and below 1. Received: factor=1.0"),
        ({"patience": -1}, "patience must be a whole number at least 0. Received: patience=-1"),
        ({"monitor": "los"}, "monitor must be one of loss, validation_loss. Received: monitor='los'. Did you mean"),
        ({"min_delta": 1.0}, "min_delta must be at least 0 and below 1. Received: min_delta=1.0"),
        ({"cooldown": 0.5}, "cooldown must be a whole number at least 0. Received: cooldown=0.5"),
        ({"lowest": -1.0}, "lowest must be at least 0. Received: lowest=-1.0"),
    ],
)
def test_a_setting_that_is_not_legal_is_refused(settings, sentence):
    with pytest.raises(ds.InputError) as error:
        ReduceOnPlateau(**settings)
    assert str(error.value).startswith(sentence)


def test_a_description_gives_back_an_equal_record():
    policy = ReduceOnPlateau(factor=0.2, patience=3, monitor="validation_loss", cooldown=2, lowest=1e-5)
    assert ReduceOnPlateau.from_description(policy.describe()) == policy
    with pytest.raises(ds.InputError, match=r"^plateau setting must be one of"):
        ReduceOnPlateau.from_description({"patients": 3})
