import numpy as np
import pytest

import downslope as ds

# How many rows from the first on are asked for digit by digit. All but one of these runs are chaotic: one rounding that
# differs in exp or in a matrix product leads elsewhere, so that no later row can be asked for on every processor.
ROWS_MET = {
    "sgd_lr_0.85": 2,
    "sgd_decay_1e-2": 17,
    "sgd_decay_1e-3": 2,
    "sgd_momentum_0.5": 2,
    "sgd_momentum_0.9": 1,
    "adagrad": 1,
    "rmsprop": 1,
    "rmsprop_tuned": 1,
}


def chapter_run(optimizer, **settings):
    return ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(seed="chapter"), optimizer, **settings)


def line(row):
    return f"epoch: {row['epoch']}, acc: {row['accuracy']:.3f}, loss: {row['loss']:.3f}"


def test_every_printed_learning_rate_is_met(printed_runs):
    assert len(printed_runs) == 8
    for name, optimizer, rows in printed_runs:
        for row in rows:
            if "learning_rate" in row:
                assert optimizer.at(max(row["epoch"], 1)).learning_rate == row["learning_rate"], (name, row)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_first_rows_of_the_other_runs_are_met(printed_runs, engine):
    for name, optimizer, rows in printed_runs:
        met = rows[: ROWS_MET[name]]
        if met[-1]["epoch"] > 200:
            continue
        run = chapter_run(optimizer, engine=engine)
        run.train(met[-1]["epoch"] + 1)
        assert [line(run.history.row(row["epoch"])) for row in met] == [line(row) for row in met], name
        assert all(run.history.learning_rate[row["epoch"]] == row.get("learning_rate", 0.85) for row in met)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_decay_1e_2_gives_all_17_rows_at_once_and_in_pieces(printed_runs, bits, engine):
    _, optimizer, rows = next(run for run in printed_runs if run[0] == "sgd_decay_1e-2")
    assert len(rows) == ROWS_MET["sgd_decay_1e-2"] == 17
    straight, pieces = (chapter_run(optimizer, engine=engine) for _ in range(2))
    straight.train(10_001)
    assert [line(straight.history.row(row["epoch"])) for row in rows] == [line(row) for row in rows]
    assert [straight.history.learning_rate[row["epoch"]] for row in rows] == [row["learning_rate"] for row in rows]
    pieces.train(5_000)
    pieces.train(5_001)
    assert bits(pieces) == bits(straight)


def drawn(skipped, shape):
    """The chapter's weights: 0.01·normal, in float32 from the draw on."""
    legacy = np.random.RandomState(0)
    legacy.standard_normal(skipped)
    return np.float32(0.01) * legacy.standard_normal(shape).astype(np.float32)


def test_the_chapters_seed_is_the_datas_unless_another_is_given():
    run = chapter_run(ds.SGD())
    assert run.seed == "chapter"
    assert np.array_equal(run.parameters[:128].reshape(2, 64), drawn(300, (2, 64)))
    other = chapter_run(ds.SGD(), seed=5)
    assert (other.seed, other.problem.seed) == (5, 5)
    assert np.array_equal(other.parameters, ds.MLP([2, 64, 3]).initial_parameters(5))


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_the_chapters_seed_with_other_data_draws_weights_from_the_start_of_its_generator(validation):
    moons = ds.data.moons()
    run = ds.Run(ds.MLP([2, 8, 2]), moons, ds.SGD(), seed="chapter", batch_size=16, validation=validation)
    assert np.array_equal(run.parameters[:16].reshape(2, 8), drawn(0, (2, 8)))
    same = ds.Run(ds.MLP([2, 8, 2]), moons, ds.SGD(), seed=0, batch_size=16, validation=validation)
    assert np.array_equal(run.problem.training.inputs, same.problem.training.inputs)
    assert np.array_equal(run.problem.order(3), same.problem.order(3))
