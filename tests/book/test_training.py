"""Training by the chapter's loop: the printed rows, and the bits of plain NumPy."""

# ruff: noqa: NPY002 - the legacy generator is the chapter's

import json
from importlib.resources import files

import numpy as np
import pytest

from downslope import book

OPTIMIZERS = {
    "sgd": ("Optimizer_SGD", {}),
    "sgd-decay": ("Optimizer_SGD", {"learning_rate": 0.9, "decay": 1e-2}),
    "momentum": ("Optimizer_SGD", {"decay": 1e-3, "momentum": 0.9}),
    "adagrad": ("Optimizer_Adagrad", {"decay": 1e-4}),
    "rmsprop": ("Optimizer_RMSprop", {"decay": 1e-4}),
    "rmsprop-tuned": ("Optimizer_RMSprop", {"learning_rate": 0.02, "decay": 1e-5, "rho": 0.999, "epsilon": 1e-6}),
    "adam": ("Optimizer_Adam", {"learning_rate": 0.05, "decay": 5e-7}),
    "adam-default": ("Optimizer_Adam", {"beta_1": 0.8, "beta_2": 0.99}),
}
SLOTS = ("weight_momentums", "bias_momentums", "weight_cache", "bias_cache")


class Training:
    """The chapter's network and loop on the classes of one module."""

    def __init__(self, classes, optimizer, settings, one_hot=False):
        self.X, self.labels = classes.spiral_data(samples=100, classes=3)
        self.y = np.eye(3, dtype=np.float32)[self.labels] if one_hot else self.labels
        self.dense1, self.activation1 = classes.Layer_Dense(2, 64), classes.Activation_ReLU()
        self.dense2 = classes.Layer_Dense(64, 3)
        self.loss_activation = classes.Activation_Softmax_Loss_CategoricalCrossentropy()
        self.optimizer = getattr(classes, optimizer)(**settings)
        self.lines = []

    def epochs(self, count, every=50):
        for epoch in range(count):
            self.dense1.forward(self.X)
            self.activation1.forward(self.dense1.output)
            self.dense2.forward(self.activation1.output)
            loss = self.loss_activation.forward(self.dense2.output, self.y)
            if not epoch % every:
                accuracy = np.mean(np.argmax(self.loss_activation.output, axis=1) == self.labels)
                self.lines.append((f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:.3f}", loss, self.rate))
            self.loss_activation.backward(self.loss_activation.output, self.y)
            self.dense2.backward(self.loss_activation.dinputs)
            self.activation1.backward(self.dense2.dinputs)
            self.dense1.backward(self.activation1.dinputs)
            self.optimizer.pre_update_params()
            self.optimizer.update_params(self.dense1)
            self.optimizer.update_params(self.dense2)
            self.optimizer.post_update_params()
        return self

    @property
    def rate(self):
        return self.optimizer.current_learning_rate

    def bits(self):
        """Every array a reader can see, with its type, and every printed number."""
        layers = (self.dense1, self.dense2)
        names = ("weights", "biases", "dweights", "dbiases", "dinputs", "output", *SLOTS)
        arrays = {f"{i}.{name}": getattr(layer, name, None) for i, layer in enumerate(layers) for name in names}
        arrays |= {"relu": self.activation1.dinputs, "p": self.loss_activation.output, "X": self.X, "y": self.labels}
        seen = {name: (a.dtype.str, a.shape, (a + 0).tobytes()) for name, a in arrays.items() if a is not None}
        return seen, self.lines, vars(self.optimizer)


def trained(classes, kind, dtype, **settings):
    if dtype == "float32":
        classes.init()
    else:
        np.random.seed(11)
    return Training(classes, *OPTIMIZERS[kind], **settings).epochs(301)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_has_the_bits_of_plain_numpy(plain, kind, dtype):
    plain.datasets.chosen[0] = np.float64
    theirs, ours = trained(plain, kind, dtype).bits(), trained(book, kind, dtype).bits()
    assert ours[0].keys() == theirs[0].keys()
    assert [name for name in ours[0] if ours[0][name] != theirs[0][name]] == []
    assert ours[1:] == theirs[1:]
    assert ours[0]["0.weights"][0] == {"float32": "<f4", "float64": "<f8"}[dtype]


@pytest.mark.usefixtures("fresh")
def test_one_hot_targets_give_the_bits_of_labels():
    labels, one_hot = (trained(book, "momentum", "float32", one_hot=choice) for choice in (False, True))
    assert labels.bits() == one_hot.bits()


@pytest.mark.usefixtures("fresh")
def test_decay_1e_2_prints_all_17_rows():
    runs = json.loads((files("downslope.book") / "printed_runs.json").read_text(encoding="utf-8"))["runs"]
    printed = next(run for run in runs if run["name"] == "sgd_decay_1e-2")
    assert len(printed["printed"]) == 17
    book.init()
    settings = {name: value for name, value in printed["settings"].items() if name != "optimizer"}
    run = Training(book, "Optimizer_SGD", settings).epochs(printed["printed"][-1]["epoch"] + 1, every=100)
    lines = {line: rate for line, _, rate in run.lines}
    for row in printed["printed"]:
        line = f"epoch: {row['epoch']}, acc: {row['accuracy']:.3f}, loss: {row['loss']:.3f}"
        assert lines.get(line) == row["learning_rate"], line


@pytest.mark.usefixtures("fresh")
def test_an_explosion_is_that_of_plain_numpy(plain):
    """A rate of 1e9 drives the loss to where clipping holds it, and the weights far out: no error on the way."""
    seen = []
    for classes in (plain, book):
        classes.init()
        run = Training(classes, "Optimizer_SGD", {"learning_rate": 1e9})
        with np.errstate(all="ignore"):
            seen.append(run.epochs(40, every=1).lines)
    assert str(seen[0]) == str(seen[1])
    assert seen[0][-1][1] > 5 or np.isnan(seen[0][-1][1])


@pytest.mark.usefixtures("fresh")
def test_what_comes_out_is_near_what_the_packages_own_run_gives():
    """Two codes, one chapter: `Run` with the same seed ends near the same loss while the run is not yet chaotic."""
    import downslope as ds

    run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(seed="chapter"), ds.SGD(), engine="reference")
    run.train(101)
    book.init()
    ours = Training(book, "Optimizer_SGD", {}).epochs(101, every=100)
    assert ours.lines[-1][0] == f"epoch: 100, acc: {run.history.accuracy[100]:.3f}, loss: {run.history.loss[100]:.3f}"
