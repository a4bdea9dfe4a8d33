"""scikit-learn's MLPClassifier, full batch, a fixed number of iterations, started from given weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from rivals.work import BETA_1, BETA_2, EPSILON, Clock, Play, Trained, Work


def classifier(work: Work) -> Play:
    """Return `fit`. Its epsilon is added before Adam's correction, everybody else's after it."""

    def play(rates: Sequence[float], epochs: int) -> Trained:
        models = [_model(work, rate, epochs) for rate in rates]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is to stop after `epochs`, converged or not
            clock = Clock()
            for model in models:
                model.fit(work.inputs, work.labels)
            took = clock.took()
        assert all(model.n_iter_ == epochs for model in models)
        return Trained(took, [float(model.loss_) for model in models])

    return play


def _model(work: Work, rate: float, epochs: int) -> Any:
    model = MLPClassifier(
        hidden_layer_sizes=tuple(work.sizes[1:-1]),
        solver="adam",
        alpha=0.0,
        batch_size=work.batch_size,
        learning_rate_init=rate,
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=EPSILON,
        shuffle=False,
        max_iter=1,
        tol=0.0,
        warm_start=True,  # the second fit starts from the weights it finds, with a new Adam
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(work.inputs, work.labels)
    model.coefs_ = [weights.copy() for weights in work.weights]
    model.intercepts_ = [biases[0].copy() for biases in work.biases]
    model.set_params(max_iter=epochs, n_iter_no_change=epochs + 1)
    model._no_improvement_count = 0
    return model
