import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from downslope import book
from downslope.errors import InputError

KINDS = ("Optimizer_SGD", "Optimizer_Adagrad", "Optimizer_RMSprop", "Optimizer_Adam")


def layer(dtype=np.float64, **attributes):
    """A layer with nothing but what an optimizer needs; each has arrays of its own."""
    numbers = np.random.RandomState(3)
    shapes = {"weights": (3, 4), "biases": (1, 4), "dweights": (3, 4), "dbiases": (1, 4)}
    made = {name: numbers.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return SimpleNamespace(**{**made, **attributes})


def frozen(*shape):
    one = np.ones(shape)
    one.flags.writeable = False
    return one


def steps(optimizer, one, count=5):
    for _ in range(count):
        optimizer.pre_update_params()
        optimizer.update_params(one)
        optimizer.post_update_params()
        one.dweights = one.dweights * 0.9 - 0.01
    return one


def same(one, other):
    assert vars(one).keys() == vars(other).keys()
    assert [name for name in vars(one) if not np.array_equal(getattr(one, name), getattr(other, name))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_and_attributes_are_the_chapters(plain, kind):
    assert vars(getattr(book, kind)()) == vars(getattr(plain, kind)())
    assert list(vars(getattr(book, kind)())) == list(vars(getattr(plain, kind)()))
    assert vars(getattr(book, kind)(0.5, 0.1, 0.25)) == vars(getattr(plain, kind)(0.5, 0.1, 0.25))


@pytest.mark.parametrize("decay", [0.0, 1e-3, 0.1])
def test_the_rate_is_set_before_a_step_and_by_nothing_else(decay):
    optimizer = book.Optimizer_SGD(learning_rate=1.0, decay=decay)
    assert optimizer.current_learning_rate == 1.0
    one = layer()
    optimizer.update_params(one)
    assert (optimizer.iterations, optimizer.current_learning_rate) == (0, 1.0)
    rates = []
    for _ in range(21):
        optimizer.pre_update_params()
        rates.append(optimizer.current_learning_rate)
        optimizer.post_update_params()
    assert rates == [1.0 * (1.0 / (1.0 + decay * k)) for k in range(21)]
    if decay == 0.1:  # printed to full precision in the chapter
        assert (rates[1], rates[20]) == (0.9090909090909091, 0.3333333333333333)


def test_without_decay_a_rate_set_by_hand_stays():
    optimizer = book.Optimizer_SGD(learning_rate=1.0)
    optimizer.current_learning_rate = 0.25
    optimizer.pre_update_params()
    one = layer()
    before = one.weights.copy()
    optimizer.update_params(one)
    assert optimizer.current_learning_rate == 0.25
    assert np.array_equal(one.weights, before - 0.25 * one.dweights)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_may_change_at_any_time(plain, kind):
    changes = {"learning_rate": 0.3, "decay": 0.5, "momentum": 0.7, "epsilon": 1e-3, "rho": 0.5, "beta_1": 0.3,
               "beta_2": 0.6, "iterations": 7}  # fmt: skip
    results = []
    for classes in (plain, book):
        optimizer, one = getattr(classes, kind)(learning_rate=0.1, decay=0.01), layer()
        for name, value in changes.items():
            steps(optimizer, one, 2)
            if hasattr(optimizer, name):
                setattr(optimizer, name, value)
        results.append(steps(optimizer, one, 2))
    same(*results)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_optimizers_are_swapped_as_in_the_chapter(plain, first, second):
    """Where the chapter's classes fail (Adam after a cache without momentums), the missing slots are zero."""
    settings = {"Optimizer_SGD": {"learning_rate": 0.1, "momentum": 0.9}}
    results = []
    for classes in (plain, book):
        one = layer()
        steps(getattr(classes, first)(**settings.get(first, {})), one)
        if classes is plain and second == "Optimizer_Adam" and not hasattr(one, "weight_momentums"):
            one.weight_momentums, one.bias_momentums = np.zeros((3, 4)), np.zeros((1, 4))
        results.append(steps(getattr(classes, second)(**settings.get(second, {})), one))
    same(*results)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_change_in_place_and_adagrads_cache_too(plain, kind):
    held = []
    for classes in (plain, book):
        one = layer()
        weights, biases = one.weights, one.biases
        optimizer = getattr(classes, kind)(**({"momentum": 0.5} if kind == "Optimizer_SGD" else {}))
        steps(optimizer, one, 1)
        slots = {name: value for name, value in vars(one).items() if "_" in name}
        steps(optimizer, one, 1)
        assert one.weights is weights
        assert one.biases is biases
        held.append({name: getattr(one, name) is value for name, value in slots.items()})
    assert held[0] == held[1] != {}


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_any_shape(plain, kind):
    shapes = {"weights": (5,), "biases": (), "dweights": (5,), "dbiases": ()}
    results = []
    for classes in (plain, book):
        numbers = np.random.RandomState(1)
        one = SimpleNamespace(**{name: np.asarray(numbers.standard_normal(shape)) for name, shape in shapes.items()})
        results.append(steps(getattr(classes, kind)(learning_rate=0.1), one))
    same(*results)


def test_types_that_differ_are_computed_wide_and_put_back_in_their_own(plain):
    results = []
    for classes in (plain, book):
        one = layer(np.float32, biases=np.ones((1, 4)), dbiases=np.arange(4), dweights=np.full((3, 4), 0.1))
        results.append(steps(classes.Optimizer_SGD(learning_rate=0.3), one))
    same(*results)
    assert results[1].weights.dtype == np.float32
    assert results[1].biases.dtype == np.float64


def test_weights_stored_by_columns_keep_their_places():
    columns = layer(weights=np.arange(12.0).reshape(4, 3).T)
    rows = layer(weights=np.ascontiguousarray(columns.weights))
    for one in (columns, rows):
        steps(book.Optimizer_Adam(), one)
    same(columns, rows)


def test_numbers_that_are_no_arrays_become_arrays():
    one = layer(weights=2.0, dweights=0.5, biases=[1.0, 2.0], dbiases=[1, 1])
    book.Optimizer_SGD(learning_rate=1.0).update_params(one)
    assert one.weights == 1.5
    assert one.biases.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "settings", [{"learning_rate": 0}, {"learning_rate": -0.1}, {"momentum": 1.0}, {"momentum": -0.5}]
)
def test_what_the_chapter_allows_is_allowed(plain, settings):
    same(*(steps(classes.Optimizer_SGD(**settings), layer()) for classes in (plain, book)))


def test_a_layer_that_gives_a_copy_of_its_weights_has_them_set():
    class Guarded:
        def __init__(self):
            one = layer()
            self.kept, self.biases, self.dweights, self.dbiases = one.weights, one.biases, one.dweights, one.dbiases

        @property
        def weights(self):
            return self.kept.copy()

        @weights.setter
        def weights(self, value):
            self.kept = value

    one = Guarded()
    before = one.weights
    book.Optimizer_SGD().update_params(one)
    assert np.array_equal(one.kept, before - one.dweights)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_and_optimizers_are_copied_and_pickled(kind):
    optimizer, one = getattr(book, kind)(learning_rate=0.1, decay=0.1), book.Layer_Dense(3, 4)
    one.dweights, one.dbiases = np.ones((3, 4)), np.ones((1, 4))
    optimizer.update_params(one)
    copies = [copy.deepcopy((optimizer, one)), pickle.loads(pickle.dumps((optimizer, one)))]
    for pair in [(optimizer, one), *copies]:
        steps(*pair, 2)
    for _, other in copies:
        same(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "weights must be floating-point numbers. Received: weights=None"),
        (
            {"weights": [[1], []]},
            "weights must be floating-point numbers, as many in every row. Received: weights=[[1], []]",
        ),
        ({"weights": np.ones((3, 4), int)}, "weights must be floating-point numbers. Received: weights of type int64"),
        ({"dweights": np.ones((4, 3))}, r"dweights must have the shape of weights, (3, 4). Received: shape (4, 3)"),
        ({"dbiases": np.ones(3)}, r"dbiases must have the shape of biases, (1, 4). Received: shape (3,)"),
        ({"dbiases": "no"}, "dbiases must be real numbers. Received: dbiases='no'"),
        ({"dbiases": np.ones((1, 4), complex)}, "dbiases must be real numbers. Received: dbiases of type complex128"),
        ({"dweights": [[1], []]}, "dweights must be real numbers, as many in every row. Received: dweights=[[1], []]"),
        ({"weights": frozen(3)}, "weights must be an array that can be changed. Received: weights that are read-only"),
        ({"biases": frozen(1, 4)}, "biases must be an array that can be changed. Received: biases that are read-only"),
        ({"weight_cache": np.ones(2)}, "weight_cache must have the shape of weights, (3, 4). Received: shape (2,)"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_fit_is_one_sentence_and_stays_as_it_is(change, message):
    one = layer(**change)
    before = copy.deepcopy(one)
    with pytest.raises(InputError) as caught:
        book.Optimizer_Adagrad().update_params(one)
    assert str(caught.value) == message
    assert np.array_equal(one.biases, before.biases)


@pytest.mark.parametrize("name", ["weights", "biases", "dweights", "dbiases"])
def test_a_layer_without_one_of_the_four_is_one_sentence(name):
    one = layer()
    before = one.weights.copy()
    delattr(one, name)
    said = f"{name}, set by backward" if name.startswith("d") else name
    with pytest.raises(InputError) as caught:
        book.Optimizer_SGD().update_params(one)
    assert str(caught.value) == f"layer must have {said}, to be updated. Received: SimpleNamespace without it"
    if name != "weights":
        assert np.array_equal(one.weights, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["0.1", None, np.nan, 1j])
def test_a_setting_that_is_no_number_is_one_sentence(kind, value):
    with pytest.raises(InputError, match=r"^learning_rate must be a finite number\. Received: learning_rate="):
        getattr(book, kind)(learning_rate=value)
    optimizer = getattr(book, kind)()
    optimizer.current_learning_rate = value
    with pytest.raises(InputError, match=r"^current_learning_rate must be a finite number\. Received:"):
        optimizer.update_params(layer())


@pytest.mark.parametrize("kind", KINDS)
def test_a_decay_below_zero_runs_as_in_the_chapter(plain, kind):
    rates = []
    for classes in (plain, book):
        optimizer = getattr(classes, kind)(decay=-0.3)
        rates.append([])
        for _ in range(8):
            optimizer.pre_update_params()
            rates[-1].append(optimizer.current_learning_rate)
            optimizer.post_update_params()
    assert rates[0] == rates[1]
    assert rates[1][3] > rates[1][0] > 0 > rates[1][4]
    same(*(steps(getattr(classes, kind)(learning_rate=0.01, decay=-0.3), layer(), 6) for classes in (plain, book)))


def test_a_decay_that_divides_by_zero_is_one_sentence():
    optimizer = book.Optimizer_SGD(decay=-0.5)
    optimizer.iterations = 2
    with pytest.raises(InputError) as caught:
        optimizer.pre_update_params()
    rule = "decay must leave the learning rate finite: 1 + decay·iterations is 0"
    assert str(caught.value) == f"{rule}. Received: decay=-0.5 at iterations=2"


@pytest.mark.parametrize("cache", [frozen(3, 4), np.ones(4)], ids=["read-only", "one-row"])
def test_a_cache_that_cannot_be_added_to_is_replaced(cache):
    one, other = layer(weight_cache=cache), layer(weight_cache=np.ones((3, 4)))
    for each in (one, other):
        each.bias_cache = np.ones((1, 4))
        book.Optimizer_Adagrad().update_params(each)
    same(one, other)
    assert cache.max() == 1.0


def test_a_broken_count_is_one_sentence():
    optimizer = book.Optimizer_Adam(decay=0.1)
    optimizer.iterations = -1
    with pytest.raises(InputError, match=r"^iterations must be a whole number at least 0\. Received: iterations=-1$"):
        optimizer.pre_update_params()
    with pytest.raises(InputError, match=r"^iterations must be"):
        optimizer.update_params(layer())
