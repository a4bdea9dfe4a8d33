"""The chapter's formulas once more, straight in NumPy and without anything of downslope: what the tests compare with.

A script of `scripts/` runs on these classes with "downslope.book" in its import lines exchanged for "plain_book".
"""

# ruff: noqa: N801, NPY002 - the names and the generator are the chapter's

import numpy as np

from plain_book import datasets
from plain_book.datasets import dtype, init, spiral_data

__all__ = [
    "Activation_ReLU",
    "Activation_Softmax",
    "Activation_Softmax_Loss_CategoricalCrossentropy",
    "Layer_Dense",
    "Loss",
    "Loss_CategoricalCrossentropy",
    "Optimizer_Adagrad",
    "Optimizer_Adam",
    "Optimizer_RMSprop",
    "Optimizer_SGD",
    "datasets",
    "init",
    "spiral_data",
]


class Layer_Dense:
    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.01 * np.random.randn(n_inputs, n_neurons).astype(dtype())
        self.biases = np.zeros((1, n_neurons), dtype=dtype())

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)


class Activation_ReLU:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class Activation_Softmax:
    def forward(self, inputs):
        self.inputs = inputs
        powers = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = powers / np.sum(powers, axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = np.empty_like(dvalues)
        for row, (p, dp) in enumerate(zip(self.output, dvalues, strict=True)):
            column = p.reshape(-1, 1)
            self.dinputs[row] = np.dot(np.diagflat(column) - np.dot(column, column.T), dp)


class Loss:
    def calculate(self, output, y):
        return np.mean(self.forward(output, y))


class Loss_CategoricalCrossentropy(Loss):
    def forward(self, y_pred, y_true):
        clipped = np.clip(y_pred, 1e-7, 1 - 1e-7)
        if len(y_true.shape) == 1:
            confidences = clipped[range(len(y_pred)), y_true]
        else:
            confidences = np.sum(clipped * y_true, axis=1)
        return -np.log(confidences)

    def backward(self, dvalues, y_true):
        if len(y_true.shape) == 1:
            y_true = np.eye(len(dvalues[0]), dtype=dvalues.dtype)[y_true]
        self.dinputs = -y_true / dvalues
        self.dinputs = self.dinputs / len(dvalues)


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def __init__(self):
        self.activation = Activation_Softmax()
        self.loss = Loss_CategoricalCrossentropy()

    def forward(self, inputs, y_true):
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues, y_true):
        if len(y_true.shape) == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1
        self.dinputs = self.dinputs / len(dvalues)


class Decaying:
    def __init__(self, learning_rate, decay):
        self.learning_rate = learning_rate
        self.current_learning_rate = learning_rate
        self.decay = decay
        self.iterations = 0

    def pre_update_params(self):
        if self.decay:
            self.current_learning_rate = self.learning_rate * (1.0 / (1.0 + self.decay * self.iterations))

    def post_update_params(self):
        self.iterations += 1


class Optimizer_SGD(Decaying):
    def __init__(self, learning_rate=1.0, decay=0.0, momentum=0.0):
        super().__init__(learning_rate, decay)
        self.momentum = momentum

    def update_params(self, layer):
        rate = self.current_learning_rate
        if not self.momentum:
            layer.weights += -rate * layer.dweights
            layer.biases += -rate * layer.dbiases
            return
        if not hasattr(layer, "weight_momentums"):
            layer.weight_momentums = np.zeros_like(layer.weights)
            layer.bias_momentums = np.zeros_like(layer.biases)
        layer.weight_momentums = self.momentum * layer.weight_momentums - rate * layer.dweights
        layer.bias_momentums = self.momentum * layer.bias_momentums - rate * layer.dbiases
        layer.weights += layer.weight_momentums
        layer.biases += layer.bias_momentums


class Caching(Decaying):
    def __init__(self, learning_rate, decay, epsilon):
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon

    def make_cache(self, layer):
        if not hasattr(layer, "weight_cache"):
            layer.weight_cache = np.zeros_like(layer.weights)
            layer.bias_cache = np.zeros_like(layer.biases)

    def move(self, layer):
        rate = self.current_learning_rate
        layer.weights += -rate * layer.dweights / (np.sqrt(layer.weight_cache) + self.epsilon)
        layer.biases += -rate * layer.dbiases / (np.sqrt(layer.bias_cache) + self.epsilon)


class Optimizer_Adagrad(Caching):
    def __init__(self, learning_rate=1.0, decay=0.0, epsilon=1e-7):
        super().__init__(learning_rate, decay, epsilon)

    def update_params(self, layer):
        self.make_cache(layer)
        layer.weight_cache += layer.dweights**2
        layer.bias_cache += layer.dbiases**2
        self.move(layer)


class Optimizer_RMSprop(Caching):
    def __init__(self, learning_rate=0.001, decay=0.0, epsilon=1e-7, rho=0.9):
        super().__init__(learning_rate, decay, epsilon)
        self.rho = rho

    def update_params(self, layer):
        self.make_cache(layer)
        layer.weight_cache = self.rho * layer.weight_cache + (1 - self.rho) * layer.dweights**2
        layer.bias_cache = self.rho * layer.bias_cache + (1 - self.rho) * layer.dbiases**2
        self.move(layer)


class Optimizer_Adam(Decaying):
    def __init__(self, learning_rate=0.001, decay=0.0, epsilon=1e-7, beta_1=0.9, beta_2=0.999):
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def update_params(self, layer):
        if not hasattr(layer, "weight_cache"):
            layer.weight_momentums = np.zeros_like(layer.weights)
            layer.weight_cache = np.zeros_like(layer.weights)
            layer.bias_momentums = np.zeros_like(layer.biases)
            layer.bias_cache = np.zeros_like(layer.biases)
        for kind, name in (("weight", "weights"), ("bias", "biases")):
            parameter, gradient = getattr(layer, name), getattr(layer, "d" + name)
            mean = self.beta_1 * getattr(layer, f"{kind}_momentums") + (1 - self.beta_1) * gradient
            square = self.beta_2 * getattr(layer, f"{kind}_cache") + (1 - self.beta_2) * gradient**2
            setattr(layer, f"{kind}_momentums", mean)
            setattr(layer, f"{kind}_cache", square)
            mean = mean / (1 - self.beta_1 ** (self.iterations + 1))
            square = square / (1 - self.beta_2 ** (self.iterations + 1))
            parameter += -self.current_learning_rate * mean / (np.sqrt(square) + self.epsilon)
