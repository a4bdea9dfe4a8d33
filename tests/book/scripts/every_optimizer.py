# ruff: noqa
# The chapter's training loop, once with each optimizer.
import numpy as np
import downslope.book as nnfs
from downslope.book import *
from downslope.book.datasets import spiral_data

optimizers = [
    Optimizer_SGD(),
    Optimizer_SGD(learning_rate=0.85),
    Optimizer_SGD(decay=1e-2),
    Optimizer_SGD(decay=1e-3, momentum=0.9),
    Optimizer_Adagrad(decay=1e-4),
    Optimizer_RMSprop(decay=1e-4),
    Optimizer_RMSprop(learning_rate=0.02, decay=1e-5, rho=0.999),
    Optimizer_Adam(learning_rate=0.05, decay=5e-7),
]

for optimizer in optimizers:
    nnfs.init()

    # Create dataset
    X, y = spiral_data(samples=100, classes=3)
    # Create Dense layer with 2 input features and 64 output values
    dense1 = Layer_Dense(2, 64)
    activation1 = Activation_ReLU()
    # Create second Dense layer with 64 input features and 3 output values
    dense2 = Layer_Dense(64, 3)
    loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
    print(optimizer.__class__.__name__)

    for epoch in range(401):
        dense1.forward(X)
        activation1.forward(dense1.output)
        dense2.forward(activation1.output)
        loss = loss_activation.forward(dense2.output, y)

        predictions = np.argmax(loss_activation.output, axis=1)
        if len(y.shape) == 2:
            y = np.argmax(y, axis=1)
        accuracy = np.mean(predictions == y)

        if not epoch % 100:
            print(
                f"epoch: {epoch}, "
                + f"acc: {accuracy:.3f}, "
                + f"loss: {loss:.3f}, "
                + f"lr: {optimizer.current_learning_rate}"
            )

        # Backward pass
        loss_activation.backward(loss_activation.output, y)
        dense2.backward(loss_activation.dinputs)
        activation1.backward(dense2.dinputs)
        dense1.backward(activation1.dinputs)

        # Update weights and biases
        optimizer.pre_update_params()
        optimizer.update_params(dense1)
        optimizer.update_params(dense2)
        optimizer.post_update_params()

    print(loss, dense2.biases, dense1.weights.dtype)
