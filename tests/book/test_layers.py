import numpy as np
import pytest

from downslope import book
from downslope.errors import InputError

pytestmark = pytest.mark.usefixtures("fresh")


def some(*shape, dtype=np.float64):
    return np.random.RandomState(sum(shape)).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_come_from_the_global_generator_in_order(plain, dtype):
    seen = []
    for classes in (plain, book):
        classes.init(default_dtype=dtype, random_seed=5)
        layers = [classes.Layer_Dense(2, 3), classes.Layer_Dense(3, 1)]
        seen.append([np.concatenate([one.weights.ravel(), one.biases.ravel()]) for one in layers])
        assert {one.weights.dtype for one in layers} == {one.biases.dtype for one in layers} == {np.dtype(dtype)}
    assert all(np.array_equal(theirs, ours) for theirs, ours in zip(*seen, strict=True))
    assert seen[1][0][:6].any()
    assert not seen[1][0][6:].any()


def test_what_is_computed_has_the_weights_type():
    book.init()
    one = book.Layer_Dense(2, 3)
    one.forward([[1.0, 2.0], [3.0, 4.0]])
    one.backward(np.ones((2, 3)))
    assert {a.dtype for a in (one.output, one.dweights, one.dbiases, one.dinputs)} == {np.dtype(np.float32)}
    assert np.array_equal(one.dweights, np.array([[4.0] * 3, [6.0] * 3], np.float32))
    assert one.dbiases.tolist() == [[2.0, 2.0, 2.0]]
    assert np.allclose(one.dinputs, one.weights.sum(axis=1), rtol=1e-6, atol=0)


def test_whole_numbers_as_weights_are_not_cut_off():
    one = book.Layer_Dense(2, 1)
    one.weights, one.biases = np.array([[1], [2]]), [[10]]
    one.forward([[0.5, 0.25]])
    assert one.output.tolist() == [[11.0]]


def test_one_sample_without_rows_goes_forward():
    one = book.Layer_Dense(3, 2)
    one.forward([1.0, 2.0, 3.0])
    assert one.output.shape == (1, 2)


def test_a_subclass_may_set_everything_itself(plain):
    def made(classes):
        class Own(classes.Layer_Dense):
            def __init__(self):
                self.weights, self.biases = np.arange(6.0).reshape(2, 3), np.ones((1, 3))

        one = Own()
        one.inputs = some(4, 2)
        one.backward(some(4, 3))
        return one

    theirs, ours = made(plain), made(book)
    assert all(np.array_equal(getattr(theirs, name), getattr(ours, name)) for name in vars(theirs))


def test_relu_passes_what_is_above_zero(plain):
    inputs = np.array([[-1.0, 0.0, 2.0, -0.0], [np.inf, -np.inf, 1e-300, 5.0]])
    upstream = np.array([[-1.0, -2.0, -3.0, 4.0], [5.0, -6.0, 7.0, -8.0]])
    seen = []
    for classes in (plain, book):
        relu = classes.Activation_ReLU()
        relu.forward(inputs)
        relu.backward(upstream)
        seen.append((str(relu.output + 0), str(relu.dinputs)))
    assert seen[0] == seen[1]
    assert upstream[0].tolist() == [-1.0, -2.0, -3.0, 4.0]


def test_relu_keeps_whole_numbers_whole():
    relu = book.Activation_ReLU()
    relu.forward([1, -2, 3])
    relu.backward([7, 8, 9])
    assert (str(relu.output), str(relu.dinputs)) == ("[1 0 3]", "[7 0 9]")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_softmax_has_the_bits_of_plain_numpy_forward_and_backward(plain, dtype, classes):
    inputs, upstream = 5 * some(40, classes, dtype=dtype), some(classes, 40, dtype=dtype).T
    seen = []
    for module in (plain, book):
        softmax = module.Activation_Softmax()
        softmax.forward(inputs)
        softmax.backward(upstream)
        seen.append(softmax)
    assert np.array_equal(seen[0].output, seen[1].output)
    assert np.array_equal(seen[0].dinputs, seen[1].dinputs)
    assert seen[1].dinputs.dtype == dtype


def test_softmax_backward_is_the_slope_of_forward():
    softmax, z, upstream = book.Activation_Softmax(), some(4, 3), some(3, 4).T
    softmax.forward(z)
    softmax.backward(upstream)
    slopes = np.zeros_like(z)
    for i in range(z.shape[1]):
        totals = []
        for h in (1e-6, -1e-6):
            moved = z.copy()
            moved[:, i] += h
            probe = book.Activation_Softmax()
            probe.forward(moved)
            totals.append((probe.output * upstream).sum(axis=1))
        slopes[:, i] = (totals[0] - totals[1]) / 2e-6
    assert np.allclose(softmax.dinputs, slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: book.Layer_Dense(0, 3), "n_inputs must be a whole number at least 1. Received: n_inputs=0"),
        (lambda: book.Layer_Dense(2, 3.5), "n_neurons must be a whole number at least 1. Received: n_neurons=3.5"),
        (
            lambda: book.Layer_Dense(2, 3).forward(some(5, 3)),
            "inputs must be of shape (rows, 2). Received: shape (5, 3)",
        ),
        (lambda: book.Layer_Dense(2, 3).forward(1.0), "inputs must be of shape (rows, 2). Received: shape ()"),
        (
            lambda: book.Layer_Dense(2, 3).backward(some(5, 3)),
            "forward of Layer_Dense must be called first. Received: no inputs yet",
        ),
        (
            lambda: book.Activation_ReLU().backward(some(5, 3)),
            "forward of Activation_ReLU must be called first. Received: no inputs yet",
        ),
        (
            lambda: book.Activation_Softmax().backward(some(5, 3)),
            "forward of Activation_Softmax must be called first. Received: no output yet",
        ),
        (
            lambda: book.Activation_Softmax().forward(some(5)),
            "inputs must be of shape (rows, classes), at least 1 by 1. Received: shape (5,)",
        ),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("Layer_Dense", "of the output's shape (rows, 3), rows as in inputs"),
        ("Activation_ReLU", "of the inputs' shape (4, 3)"),
        ("Activation_Softmax", "of the output's shape (4, 3)"),
    ],
)
def test_a_gradient_of_another_shape_is_one_sentence(part, rule):
    one = getattr(book, part)(*((3, 3) if part == "Layer_Dense" else ()))
    one.forward(some(4, 3))
    for wrong in (some(5, 3), some(4, 2), some(3)):
        with pytest.raises(InputError) as caught:
            one.backward(wrong)
        assert str(caught.value) == f"dvalues must be {rule}. Received: shape {wrong.shape}"


WRONG = [
    ([[1.0, 2.0], [3.0]], "real numbers, as many in every row. Received: {0}=[[1.0, 2.0], [3.0]]"),
    ("words", "real numbers. Received: {0}='words'"),
    ([["a", "b", "c"]], "real numbers. Received: {0}=[['a', 'b', 'c']]"),
    (None, "real numbers. Received: {0}=None"),
    (np.ones((4, 3), complex), "real numbers. Received: {0} of type complex128"),
    ([[None, 1.0, 2.0]], "real numbers, as many in every row. Received: {0}=[[None, 1.0, 2.0]]"),
]


@pytest.mark.parametrize(("value", "rule"), WRONG, ids=["ragged", "text", "texts", "none", "complex", "missing"])
@pytest.mark.parametrize("part", ["Layer_Dense", "Activation_ReLU", "Activation_Softmax"])
def test_what_is_no_array_of_numbers_is_one_sentence(part, value, rule):
    one = getattr(book, part)(*((3, 3) if part == "Layer_Dense" else ()))
    one.forward(some(4, 3))
    for method, name in ((one.forward, "inputs"), (one.backward, "dvalues")):
        with pytest.raises(InputError) as caught:
            method(value)
        assert str(caught.value) == f"{name} must be {rule.format(name)}"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "weights",
            [[1.0], [2.0, 3.0]],
            "weights must be real numbers, as many in every row. Received: weights=[[1.0], ",
        ),
        ("weights", np.ones(3), "weights must be of shape (n_inputs, n_neurons). Received: shape (3,)"),
        ("biases", None, "biases must be real numbers. Received: biases=None"),
        ("biases", np.ones((1, 5)), "biases must be of shape (1, 2). Received: shape (1, 5)"),
    ],
)
def test_parameters_that_a_script_assigned_are_checked(name, value, message):
    one = book.Layer_Dense(3, 2)
    setattr(one, name, value)
    with pytest.raises(InputError) as caught:
        one.forward(some(4, 3))
    assert str(caught.value).startswith(message)
