"""The chapter's NumPy code: its classes and its loop, written anew in its style (its names, one array at a time)."""

# ruff: noqa: N801, D101, D102 - the names, and the bare classes, are the chapter's

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rivals.work import BETA_1, BETA_2, EPSILON, Clock, Play, Trained, Work


class Layer_Dense:
    def __init__(self, weights: Any, biases: Any) -> None:
        self.weights = weights.copy()  # 0.01 * np.random.randn(n_inputs, n_neurons) in the chapter
        self.biases = biases.copy()

    def forward(self, inputs: Any) -> None:
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues: Any) -> None:
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)


class Activation_ReLU:
    def forward(self, inputs: Any) -> None:
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues: Any) -> None:
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class Activation_Softmax:
    def forward(self, inputs: Any) -> None:
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)


class Loss_CategoricalCrossentropy:
    def forward(self, y_pred: Any, y_true: Any) -> Any:
        samples = len(y_pred)
        y_pred_clipped = np.clip(y_pred, 1e-7, 1 - 1e-7)
        if len(y_true.shape) == 1:
            correct_confidences = y_pred_clipped[range(samples), y_true]
        else:
            correct_confidences = np.sum(y_pred_clipped * y_true, axis=1)
        return np.mean(-np.log(correct_confidences))


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def __init__(self) -> None:
        self.activation = Activation_Softmax()
        self.loss = Loss_CategoricalCrossentropy()

    def forward(self, inputs: Any, y_true: Any) -> Any:
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.forward(self.output, y_true)

    def backward(self, dvalues: Any, y_true: Any) -> None:
        samples = len(dvalues)
        if len(y_true.shape) == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y_true] -= 1
        self.dinputs = self.dinputs / samples


class Optimizer_Adam:
    def __init__(
        self,
        learning_rate: float = 0.001,
        decay: float = 0.0,
        epsilon: float = EPSILON,
        beta_1: float = BETA_1,
        beta_2: float = BETA_2,
    ) -> None:
        self.learning_rate = learning_rate
        self.current_learning_rate = learning_rate
        self.decay = decay
        self.iterations = 0
        self.epsilon = epsilon
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def pre_update_params(self) -> None:
        if self.decay:
            self.current_learning_rate = self.learning_rate * (1.0 / (1.0 + self.decay * self.iterations))

    def update_params(self, layer: Any) -> None:
        if not hasattr(layer, "weight_cache"):
            layer.weight_momentums = np.zeros_like(layer.weights)
            layer.weight_cache = np.zeros_like(layer.weights)
            layer.bias_momentums = np.zeros_like(layer.biases)
            layer.bias_cache = np.zeros_like(layer.biases)
        layer.weight_momentums = self.beta_1 * layer.weight_momentums + (1 - self.beta_1) * layer.dweights
        layer.bias_momentums = self.beta_1 * layer.bias_momentums + (1 - self.beta_1) * layer.dbiases
        weight_momentums_corrected = layer.weight_momentums / (1 - self.beta_1 ** (self.iterations + 1))
        bias_momentums_corrected = layer.bias_momentums / (1 - self.beta_1 ** (self.iterations + 1))
        layer.weight_cache = self.beta_2 * layer.weight_cache + (1 - self.beta_2) * layer.dweights**2
        layer.bias_cache = self.beta_2 * layer.bias_cache + (1 - self.beta_2) * layer.dbiases**2
        weight_cache_corrected = layer.weight_cache / (1 - self.beta_2 ** (self.iterations + 1))
        bias_cache_corrected = layer.bias_cache / (1 - self.beta_2 ** (self.iterations + 1))
        rate = self.current_learning_rate
        layer.weights += -rate * weight_momentums_corrected / (np.sqrt(weight_cache_corrected) + self.epsilon)
        layer.biases += -rate * bias_momentums_corrected / (np.sqrt(bias_cache_corrected) + self.epsilon)

    def post_update_params(self) -> None:
        self.iterations += 1


def listing(work: Work) -> Play:
    """Return the chapter's training loop, without its printing."""
    X, y = work.inputs, work.labels  # noqa: N806 - the chapter's name

    def play(rates: Sequence[float], epochs: int) -> Trained:
        losses = []
        clock = Clock()
        for rate in rates:
            dense1 = Layer_Dense(work.weights[0], work.biases[0])
            activation1 = Activation_ReLU()
            dense2 = Layer_Dense(work.weights[1], work.biases[1])
            loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
            optimizer = Optimizer_Adam(learning_rate=rate)
            loss = np.nan
            for _ in range(epochs):
                dense1.forward(X)
                activation1.forward(dense1.output)
                dense2.forward(activation1.output)
                loss = loss_activation.forward(dense2.output, y)
                predictions = np.argmax(loss_activation.output, axis=1)
                _accuracy = np.mean(predictions == y)
                loss_activation.backward(loss_activation.output, y)
                dense2.backward(loss_activation.dinputs)
                activation1.backward(dense2.dinputs)
                dense1.backward(activation1.dinputs)
                optimizer.pre_update_params()
                optimizer.update_params(dense1)
                optimizer.update_params(dense2)
                optimizer.post_update_params()
            losses.append(float(loss))
        return Trained(clock.took(), losses)

    return play
