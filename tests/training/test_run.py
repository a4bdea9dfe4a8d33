import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import downslope as ds
from downslope.data import Dataset
from downslope.errors import InputError
from downslope.training import output_width

SPIRAL = ds.data.spiral(10)
MOONS = ds.data.moons(20)
LINE = ds.data.line(30)


def table(rows=40, targets=1, classes=None, name="table"):
    """Columns far from 0 and 1, so that a forgotten scale shows."""
    x = np.linspace(0.0, 1.0, rows)
    inputs = np.column_stack([500 + 100 * x, 3 - 0.01 * x**2])
    if classes:
        return Dataset(name, inputs, np.arange(rows) % len(classes), ("u", "v"), classes, ("kind",), standardize=True)
    values = np.column_stack([1000 + 700 * x, 0.05 - 0.02 * x**2])[:, :targets]
    return Dataset(name, inputs, values, ("u", "v"), None, ("y", "z")[:targets], standardize=True)


def run_of(data, optimizer=None, **options):
    width = output_width(data, options.get("loss"))
    return ds.Run(ds.MLP([len(data.features), 6, width]), data, optimizer or ds.Adam(0.01), **options)


NETWORK, RULE = ds.MLP([2, 4, 3]), ds.SGD(0.1)
REFUSED = [
    (("MLP", SPIRAL, RULE), {}, "network must be a network such as MLP([2, 64, 3]). Received: network='MLP'"),
    ((NETWORK, [[1, 2]], RULE), {}, "data must be a data set such as downslope.data.spiral(). Received: data=[[1, 2]]"),
    (
        (NETWORK, SPIRAL, "sgd"),
        {},
        "optimizer must be an optimizer such as SGD(learning_rate=0.1). Received: optimizer=",
    ),
    (
        (NETWORK, SPIRAL, ds.SGD),
        {},
        "optimizer must be an optimizer such as SGD(learning_rate=0.1). Received: optimizer=",
    ),
    ((ds.MLP([3, 3]), SPIRAL, RULE), {}, "the network must have 2 inputs for spiral. Received: 3 in MLP([3, 3])"),
    ((ds.MLP([2, 2]), SPIRAL, RULE), {}, "the network must have 3 outputs for spiral. Received: 2 in MLP([2, 2])"),
    ((ds.MLP([2, 2]), LINE, RULE), {}, "the network must have 1 input for line. Received: 2 in MLP([2, 2])"),
    ((ds.MLP([2, 2]), MOONS, RULE), {"loss": "bce"}, "the network must have 1 output for moons. Received: 2 in"),
    (
        (NETWORK, SPIRAL, RULE),
        {"loss": "mse"},
        "loss must be one for classification, as spiral needs. Received: loss='mse'",
    ),
    (
        (ds.MLP([1, 1]), LINE, RULE),
        {"loss": "bce"},
        "loss must be one for regression, as line needs. Received: loss='bce'",
    ),
    ((NETWORK, SPIRAL, RULE), {"loss": "bce"}, "loss 'bce' must have exactly 2 classes. Received: 3 in spiral"),
    (
        (NETWORK, SPIRAL, RULE),
        {"loss": "cross-entrpy"},
        "loss must be one of cross-entropy, bce, mse, mae, huber. Received:",
    ),
    ((NETWORK, SPIRAL, RULE), {"loss": 3}, "loss must be one of cross-entropy, bce, mse, mae, huber. Received: loss=3"),
    (
        (NETWORK, SPIRAL, RULE),
        {"batch_size": 0},
        "batch_size must be a whole number at least 1. Received: batch_size=0",
    ),
    (
        (NETWORK, SPIRAL, RULE),
        {"batch_size": 2.5},
        "batch_size must be a whole number at least 1. Received: batch_size=2.5",
    ),
    (
        (NETWORK, SPIRAL, RULE),
        {"batch_size": True},
        "batch_size must be a whole number at least 1. Received: batch_size=",
    ),
    (
        (NETWORK, SPIRAL, RULE),
        {"validation": 1.0},
        "validation must be at least 0 and below 1. Received: validation=1.0",
    ),
    (
        (NETWORK, SPIRAL, RULE),
        {"validation": -0.1},
        "validation must be at least 0 and below 1. Received: validation=-0.1",
    ),
    ((NETWORK, SPIRAL, RULE), {"validation": "x"}, "validation must be a number at least 0 and below 1. Received: "),
    (
        (NETWORK, SPIRAL, RULE),
        {"validation": 0.001},
        "validation must leave a row to validate. Received: validation=0.001",
    ),
    ((NETWORK, SPIRAL, RULE), {"validation": LINE}, "the data must be for classification, as the run is. Received: "),
    (
        (NETWORK, SPIRAL, RULE),
        {"validation": ds.data.spiral(9, 4)},
        "classes must be among 0, 1, 2. Received: '3' in spiral",
    ),
    ((NETWORK, SPIRAL, RULE), {"seed": -1}, "seed must be a whole number at least 0"),
    ((NETWORK, SPIRAL, RULE), {"seed": 0.5}, "seed must be a whole number at least 0"),
    ((NETWORK, SPIRAL, RULE), {"seed": 2**64}, "seed must be a whole number at least 0"),
    (
        (NETWORK, SPIRAL, RULE),
        {"seed": "book"},
        "seed must be a whole number at least 0, or \"chapter\". Received: seed='book'",
    ),
    (
        (NETWORK, SPIRAL, RULE),
        {"dtype": "float16"},
        "dtype must be one of float32, float64. Received: dtype='float16'.",
    ),
    ((NETWORK, SPIRAL, RULE), {"dtype": None}, "dtype must be one of float32, float64. Received: dtype=None"),
    ((NETWORK, SPIRAL, RULE), {"standardize": "yes"}, "standardize must be True or False. Received: standardize='yes'"),
    (
        (NETWORK, SPIRAL, RULE),
        {"engine": "fast"},
        "engine must be one of compiled, blas, reference. Received: engine='fast'",
    ),
]


@pytest.mark.parametrize(("arguments", "options", "message"), REFUSED)
def test_what_cannot_be_a_run_is_refused_in_one_sentence(arguments, options, message):
    with pytest.raises(InputError) as error:
        ds.Run(*arguments, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1,), {}, "epochs must be a whole number at least 0. Received: epochs=-1"),
        ((1.5,), {}, "epochs must be a whole number at least 0. Received: epochs=1.5"),
        ((True,), {}, "epochs must be a whole number at least 0. Received: epochs=True"),
        (("3",), {}, "epochs must be a whole number at least 0. Received: epochs='3'"),
        ((3,), {"on_epoch": 5}, "on_epoch must be a function of the run and the epoch. Received: on_epoch=5"),
    ],
)
def test_what_cannot_be_trained_changes_nothing(bits, arguments, options, message):
    run = run_of(SPIRAL)
    before = bits(run)
    with pytest.raises(InputError) as error:
        run.train(*arguments, **options)
    assert str(error.value) == message
    assert bits(run) == before


def test_a_run_before_and_after_training():
    run = run_of(SPIRAL, ds.SGD(0.1), batch_size=np.int64(20))
    run.train(np.int64(0))
    assert (run.epoch, run.step, len(run.history)) == (0, 0, 0)
    assert run.predict(SPIRAL.inputs).shape == (30,)
    assert set(run.evaluate()) == {"loss", "accuracy"}
    start = run.parameters
    run.parameters[:] = 0  # a copy
    assert np.array_equal(run.parameters, start)
    run.train(5)
    assert (run.epoch, run.step, len(run.history)) == (5, 10, 5)
    assert "5 epochs done" in repr(run)
    assert "spiral" in repr(run)
    assert "SGD" in repr(run)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_is_computed_in_the_runs_type(dtype):
    run = run_of(SPIRAL, ds.Adam(0.01), dtype=dtype)
    run.train(2)
    arrays = [run.parameters, run.state.last_update, *run.state.slots.values(), run.outputs(SPIRAL.inputs)]
    assert {array.dtype.name for array in (*arrays, run.predict_proba(SPIRAL.inputs))} == {dtype}


def test_float64_and_float32_agree_at_first():
    one, other = (run_of(SPIRAL, dtype=dtype) for dtype in ("float32", "float64"))
    one.train(5)
    other.train(5)
    assert one.history.loss == pytest.approx(other.history.loss, rel=1e-5)


@pytest.mark.parametrize(
    ("data", "loss", "name"),
    [
        (SPIRAL, None, "cross-entropy"),
        (MOONS, "bce", "bce"),
        (LINE, None, "mse"),
        (LINE, "MAE", "mae"),
        (LINE, ds.Huber(0.5), "huber"),
        (table(targets=2), "huber", "huber"),
    ],
)
def test_every_loss_learns(data, loss, name):
    run = run_of(data, ds.Adam(0.03), loss=loss, batch_size=10, validation=0.2)
    run.train(60)
    assert run.loss.name == name
    assert run.history.loss[-1] < 0.9 * run.history.loss[0]
    assert getattr(run.history, run.history.score_name)[-1] > getattr(run.history, run.history.score_name)[0]


def test_the_historys_row_is_the_state_before_the_epoch():
    run = run_of(MOONS, ds.SGD(0.5), validation=0.25)
    for _ in range(4):
        training, held_out = run.evaluate(), run.evaluate("validation")
        run.train(1)
        row = run.history.row(-1)
        assert row["loss"] == pytest.approx(training["loss"], rel=1e-6)
        assert row["accuracy"] == training["accuracy"]
        assert row["validation_loss"] == held_out["loss"]
        assert row["validation_accuracy"] == held_out["accuracy"]


@pytest.mark.parametrize("loss", [None, "bce"])
@pytest.mark.parametrize("classes", [("lily", "rose"), ("3", "7")])
def test_predictions_probabilities_and_accuracy_agree(loss, classes):
    data = table(classes=classes)
    run = run_of(data, ds.Adam(0.05), loss=loss, batch_size=8, validation=0.25)
    run.train(30)
    chances, predicted = run.predict_proba(data.inputs), run.predict(data.inputs)
    assert chances.shape == (40, 2)
    assert chances.sum(axis=1) == pytest.approx(np.ones(40), abs=1e-6)
    names = [classes[label] for label in chances.argmax(axis=1)]
    assert [str(label) for label in predicted] == names
    assert predicted.dtype.kind == ("U" if classes[0] == "lily" else "i")
    right = np.mean([name == classes[label] for name, label in zip(names, data.targets, strict=True)])
    assert run.evaluate(data)["accuracy"] == pytest.approx(right)


@pytest.mark.parametrize("targets", [1, 2])
def test_regression_is_measured_in_the_targets_own_units(targets):
    data = table(targets=targets)
    run = run_of(data, ds.Adam(0.03))
    run.train(40)
    predicted = run.predict(data.inputs)
    assert predicted.shape == ((40,) if targets == 1 else (40, 2))
    y = data.targets[:, 0] if targets == 1 else data.targets
    measured = run.evaluate()
    assert measured["rmse"] == pytest.approx(root_mean_squared_error(y, predicted), rel=1e-6)
    assert measured["mae"] == pytest.approx(mean_absolute_error(y, predicted), rel=1e-6)
    assert measured["r2"] == pytest.approx(r2_score(y, predicted), rel=1e-5)
    scaled = (y - y.mean(axis=0)) / y.std(axis=0)
    residual = scaled - (predicted - y.mean(axis=0)) / y.std(axis=0)
    assert measured["loss"] == pytest.approx(np.square(residual).mean(), rel=1e-4)
    assert measured == run.evaluate("training") == run.evaluate(data)
    with pytest.raises(InputError, match="predict_proba must be asked of a classification"):
        run.predict_proba(data.inputs)


@pytest.mark.parametrize("standardize", [True, False, None])
def test_standardization_is_the_datas_unless_told(standardize):
    for data in (table(), SPIRAL):
        run = run_of(data, standardize=standardize)
        changed = data.standardize if standardize is None else standardize
        assert (run.preparation.inputs.scale.tolist() != [1.0] * 2) == changed
        assert np.array_equal(run.problem.training.inputs, data.inputs.astype(np.float32)) == (not changed)


def test_nothing_is_learned_from_the_validation_rows(bits):
    data = table()
    run = run_of(data, batch_size=8, validation=0.3)
    _, held_out = ds.data.split(data, 0.3, 0)
    assert len(held_out) == 12
    inputs, targets = data.inputs.copy(), data.targets.copy()
    inputs[held_out] *= 50
    targets[held_out] -= 1e6
    other = run_of(
        Dataset("other", inputs, targets, ("u", "v"), None, ("y",), standardize=True), batch_size=8, validation=0.3
    )
    run.train(5)
    other.train(5)
    assert bits(other)[:3] == bits(run)[:3]
    assert other.history.loss.tolist() == run.history.loss.tolist()
    assert other.history.validation_loss.tolist() != run.history.validation_loss.tolist()


def test_validation_by_other_data_trains_on_every_row_and_matches_names(bits):
    data = table(classes=("lily", "rose"))
    swapped = Dataset("swapped", data.inputs[:, ::-1], 1 - data.targets, ("v", "u"), ("rose", "lily"), ("kind",))
    alone, run, same = (run_of(data, ds.Adam(0.05), validation=v) for v in (0.0, swapped, data))
    for each in (alone, run, same):
        each.train(10)
    assert bits(alone)[:3] == bits(run)[:3]
    assert run.history.validation_loss.tolist() == same.history.validation_loss.tolist()
    assert same.history.validation_loss == pytest.approx(same.history.loss, rel=1e-6)
    assert run.evaluate("validation") == run.evaluate(swapped) == run.evaluate(data)
    assert run.predict(swapped).tolist() == run.predict(data).tolist()


def test_rows_may_be_an_array_a_list_a_data_frame_or_a_data_set():
    data = table(classes=("lily", "rose"))
    run = run_of(data)
    expected = run.predict_proba(data.inputs)
    columns = {"v": data.inputs[:, 1], "note": ["x"] * 40, "u": data.inputs[:, 0]}
    for rows in (data.inputs.tolist(), pl.DataFrame(columns), pd.DataFrame(columns), data.frame(), data):
        assert np.array_equal(run.predict_proba(rows), expected)
    assert run.predict(data.inputs[:1]).shape == (1,)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0]], "an array must have rows of 2 features. Received: shape (1, 1)"),
        ([1.0, 2.0], "an array must have rows of 2 features. Received: shape (2,)"),
        (np.empty((0, 2)), "an array must have rows of 2 features. Received: shape (0, 2)"),
        ([[1.0, np.nan]], "column 'v' must hold finite numbers. Received: nan in row 1 of the array"),
        ([["a", "b"]], "an array must hold numbers."),
        (LINE, "the data must have a column 'u'. Received: x in line"),
    ],
)
def test_rows_that_cannot_be_predicted(rows, message):
    run = run_of(table())
    for ask in (run.predict, run.outputs):
        with pytest.raises(InputError) as error:
            ask(rows)
        assert str(error.value).startswith(message)
    with pytest.raises(InputError, match="'v'"):
        run.predict(pl.DataFrame({"u": [1.0]}))


def test_evaluating_what_is_not_there():
    run = run_of(SPIRAL)
    with pytest.raises(InputError, match="on must be 'training' where the run has no validation part"):
        run.evaluate("validation")
    with pytest.raises(InputError, match="on must be one of training, validation"):
        run.evaluate("test")


def test_the_penalty_is_part_of_the_loss_and_has_a_column():
    network = ds.MLP([2, 4, 3], l1=0.01, l2=0.02)
    run, plain = (ds.Run(net, SPIRAL, ds.SGD(0.1)) for net in (network, ds.MLP([2, 4, 3])))
    weights = [view["weights"] for view in network.views(run.parameters) if "weights" in view]
    penalty = sum(0.01 * np.abs(w).sum() + 0.02 * np.square(w).sum() for w in weights)
    run.train(1)
    plain.train(1)
    assert run.history.penalty[0] == pytest.approx(penalty, rel=1e-6)
    assert run.history.loss[0] == pytest.approx(plain.history.loss[0] + penalty, rel=1e-6)
    assert plain.history.penalty[0] == 0.0


def test_a_batch_larger_than_the_data_is_a_full_batch(bits):
    full, larger = run_of(SPIRAL), run_of(SPIRAL, batch_size=10_000)
    full.train(3)
    larger.train(3)
    assert bits(full) == bits(larger)
    assert full.step == 3


def test_output_width():
    assert [output_width(SPIRAL), output_width(MOONS), output_width(MOONS, "bce"), output_width(table(targets=2))] == [
        3,
        2,
        1,
        2,
    ]
    with pytest.raises(InputError, match="loss must be one for classification"):
        output_width(SPIRAL, "mse")
