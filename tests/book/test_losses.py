import numpy as np
import pytest

from downslope import book
from downslope.errors import InputError
from downslope.network import CrossEntropy

P = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
LABELS = np.array([0, 1, 1])
COMBINED = "Activation_Softmax_Loss_CategoricalCrossentropy"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "targets", [LABELS, np.eye(3)[LABELS], np.eye(3, dtype=int)[LABELS], np.eye(3, dtype=bool)[LABELS]]
)
def test_the_loss_has_the_bits_of_plain_numpy(plain, targets, dtype):
    p = P.astype(dtype)
    ours, theirs = book.Loss_CategoricalCrossentropy(), plain.Loss_CategoricalCrossentropy()
    assert np.array_equal(ours.forward(p, targets), theirs.forward(p, targets))
    assert ours.calculate(p, targets) == theirs.calculate(p, targets)
    assert ours.calculate(p, targets).dtype == theirs.calculate(p, targets).dtype
    ours.backward(p, targets)
    theirs.backward(p, targets.astype(int) if targets.dtype == bool else targets)
    assert np.array_equal(ours.dinputs, theirs.dinputs)


def test_the_losses_of_a_small_example():
    # −ln 0.7, −ln 0.5 and −ln 0.9 to 16 digits
    exact = [0.35667494393873245, 0.6931471805599453, 0.10536051565782628]
    assert np.allclose(book.Loss_CategoricalCrossentropy().forward(P, LABELS), exact, rtol=1e-15, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_clipped_on_both_sides(dtype):
    p = np.array([[0.0, 1.0], [0.0, 1.0]], dtype)
    low, high = book.Loss_CategoricalCrossentropy().forward(p, [0, 1])
    assert low == -np.log(dtype(1e-7))
    assert high == -np.log(dtype(1 - 1e-7))
    assert low < 17
    assert high > 0


@pytest.mark.parametrize(
    "targets", [LABELS, LABELS.tolist(), np.eye(3)[LABELS].tolist(), np.eye(3, dtype=np.uint8)[LABELS]]
)
def test_both_ways_to_the_gradient_agree(targets):
    combined = getattr(book, COMBINED)()
    combined.backward(P, targets)
    activation, loss = book.Activation_Softmax(), book.Loss_CategoricalCrossentropy()
    activation.output = P
    loss.backward(P, targets)
    activation.backward(loss.dinputs)
    assert np.allclose(combined.dinputs, activation.dinputs, rtol=0, atol=1e-15)
    assert np.array_equal(combined.dinputs, (P - np.eye(3)[LABELS]) / 3)


def test_the_packages_own_loss_is_the_same_where_nothing_is_clipped():
    logits = np.random.RandomState(2).standard_normal((50, 4))
    labels = np.arange(50) % 4
    combined = getattr(book, COMBINED)()
    loss = combined.forward(logits, labels)
    combined.backward(combined.output, labels)
    assert np.isclose(loss, CrossEntropy().forward(logits, labels).mean(), rtol=1e-14, atol=0)
    assert np.allclose(combined.dinputs, CrossEntropy().backward(logits, labels), rtol=0, atol=1e-16)


def test_the_combined_part_shows_its_parts():
    combined = getattr(book, COMBINED)()
    combined.forward(np.ones((2, 4)), [0, 3])
    assert combined.activation.output is combined.output
    assert combined.output.tolist() == [[0.25] * 4] * 2
    assert combined.loss.calculate(combined.output, [0, 3]) == np.log(4)


def test_arguments_are_left_as_they_were():
    p, one_hot = P.copy(), np.eye(3)[LABELS]
    for part in (getattr(book, COMBINED)(), book.Loss_CategoricalCrossentropy()):
        part.backward(p, one_hot)
    assert np.array_equal(p, P)
    assert np.array_equal(one_hot, np.eye(3)[LABELS])


def test_a_loss_of_ones_own_has_its_mean():
    class Own(book.Loss):
        def forward(self, y_pred, y_true):
            return np.abs(y_pred - y_true)

    assert Own().calculate(np.array([1.0, 4.0]), np.array([0.0, 1.0])) == 2.0
    with pytest.raises(NotImplementedError, match="Loss must define forward"):
        book.Loss().calculate(P, LABELS)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1], "y_true must be 3 labels, or one-hot rows of shape (3, 3). Received: shape (2,)"),
        ([[0], [1], [1]], "y_true must be 3 labels, or one-hot rows of shape (3, 3). Received: shape (3, 1)"),
        ([0.0, 1.0, 1.0], "y_true must be whole numbers as labels. Received: labels of type float64"),
        ([0, 1, 3], "labels must be at least 0 and below 3, the classes. Received: 3"),
        ([0, -1, 1], "labels must be at least 0 and below 3, the classes. Received: -1"),
        (np.array([0, 1, 200], np.uint8), "labels must be at least 0 and below 3, the classes. Received: 200"),
    ],
)
def test_wrong_targets_are_one_sentence_everywhere(targets, message):
    combined, loss = getattr(book, COMBINED)(), book.Loss_CategoricalCrossentropy()
    for call in (combined.forward, combined.backward, loss.forward, loss.calculate, loss.backward):
        with pytest.raises(InputError) as caught:
            call(P, targets)
        assert str(caught.value) == message


def test_probabilities_of_another_shape_are_one_sentence():
    for wrong in (P[0], P[:0], 0.5):
        with pytest.raises(
            InputError, match=r"^y_pred must be of shape \(rows, classes\), at least 1 by 1\. Received: shape"
        ):
            book.Loss_CategoricalCrossentropy().forward(wrong, LABELS)


@pytest.mark.parametrize("part", ["Loss_CategoricalCrossentropy", COMBINED])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[0.5, 0.5], [1.0]], "real numbers, as many in every row. Received: "),
        ("words", "real numbers. Received: "),
        (None, "real numbers. Received: "),
        (P + 1j, "real numbers. Received: "),
    ],
    ids=["ragged", "text", "none", "complex"],
)
def test_what_is_no_array_of_numbers_is_one_sentence(part, value, said):
    one = getattr(book, part)()
    first = "inputs" if part == COMBINED else "y_pred"
    for call, name in (
        (lambda: one.forward(value, LABELS), first),
        (lambda: one.forward(P, value), "y_true"),
        (lambda: one.backward(value, LABELS), "dvalues"),
        (lambda: one.backward(P, value), "y_true"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(f"{name} must be {said}{name}")


def test_rows_that_are_not_one_hot_count_as_in_the_chapter(plain):
    """Shares count in the loss, and in the combined part's gradient only by their largest; docs/book.md says so."""
    shares = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    seen = []
    for classes in (plain, book):
        alone, combined = classes.Loss_CategoricalCrossentropy(), getattr(classes, COMBINED)()
        alone.backward(P, shares)
        loss = combined.forward(np.log(P), shares)
        combined.backward(combined.output, shares)
        seen.append([alone.forward(P, shares), alone.dinputs, loss, combined.dinputs])
    assert all(np.array_equal(theirs, ours) for theirs, ours in zip(*seen, strict=True))


def test_a_row_of_zeros_has_an_infinite_loss_as_in_the_chapter(plain):
    targets = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    for classes in (plain, book):
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            losses = classes.Loss_CategoricalCrossentropy().forward(P, targets)
        assert np.isinf(losses).tolist() == [False, True, False]
