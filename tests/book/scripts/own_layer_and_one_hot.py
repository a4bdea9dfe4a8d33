# ruff: noqa
# Layers of one's own need weights, biases, dweights and dbiases; targets may be one-hot.
import copy
import pickle

import numpy as np
import downslope.book as book
from downslope.book import Optimizer_RMSprop, Optimizer_Adam, Layer_Dense, Activation_ReLU


class Scale:
    """Multiplies every column by a number of its own, and shifts all by one number."""

    def __init__(self, n):
        self.weights = np.ones(n)
        self.biases = np.zeros(())

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs * self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = np.sum(dvalues * self.inputs, axis=0)
        self.dbiases = np.sum(dvalues)
        self.dinputs = dvalues * self.weights


class Half_Open(Layer_Dense):
    """A dense layer that starts larger and hands on only half of its gradient."""

    def __init__(self, n_inputs, n_neurons):
        super().__init__(n_inputs, n_neurons)
        self.weights *= 10

    def backward(self, dvalues):
        super().backward(dvalues)
        self.dbiases = np.sum(dvalues, axis=0)
        self.dinputs = self.dinputs / 2


np.random.seed(3)
X, y = book.spiral_data(60, 4)
y = np.eye(4)[y]
print(X.dtype, y.shape)

layers = [Half_Open(2, 32), Activation_ReLU(), Scale(32), Layer_Dense(32, 4)]
loss_activation = book.Activation_Softmax_Loss_CategoricalCrossentropy()

for optimizer in (Optimizer_Adam(learning_rate=0.01, decay=1e-4), Optimizer_RMSprop(learning_rate=0.002, decay=1e-4)):
    for epoch in range(301):
        values = X
        for layer in layers:
            layer.forward(values)
            values = layer.output
        loss = loss_activation.forward(values, y)
        accuracy = np.mean(np.argmax(loss_activation.output, axis=1) == np.argmax(y, axis=1))
        if not epoch % 100:
            print(f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:.3f}, lr: {optimizer.current_learning_rate}")

        loss_activation.backward(loss_activation.output, y)
        gradient = loss_activation.dinputs
        for layer in reversed(layers):
            layer.backward(gradient)
            gradient = layer.dinputs

        optimizer.pre_update_params()
        for layer in layers:
            if hasattr(layer, "weights"):
                optimizer.update_params(layer)
        optimizer.post_update_params()

    # a copy goes its own way; what comes back from a pickle is the same
    twin, back = copy.deepcopy(layers[0]), pickle.loads(pickle.dumps(layers[0]))
    twin.weights *= 0
    print(
        np.abs(layers[0].weights).sum(), np.array_equal(back.weight_cache, layers[0].weight_cache), back.weights.shape
    )
    print(layers[2].weights[:4], float(layers[2].biases), layers[2].weight_cache.shape, layers[2].bias_cache)
