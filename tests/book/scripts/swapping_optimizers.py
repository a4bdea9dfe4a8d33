# ruff: noqa
# Changing horses: another optimizer in the middle, and a learning rate set by hand.
import numpy as np
from downslope.book import (
    init,
    Layer_Dense,
    Activation_ReLU,
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Optimizer_SGD,
    Optimizer_Adagrad,
    Optimizer_RMSprop,
    Optimizer_Adam,
)
from downslope.book.datasets import spiral_data

init()
X, y = spiral_data(samples=100, classes=3)

dense1 = Layer_Dense(2, 64)
activation1 = Activation_ReLU()
dense2 = Layer_Dense(64, 3)
loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
optimizer = Optimizer_SGD(learning_rate=0.5, momentum=0.9)

for epoch in range(1001):
    dense1.forward(X)
    activation1.forward(dense1.output)
    dense2.forward(activation1.output)
    loss = loss_activation.forward(dense2.output, y)
    accuracy = np.mean(np.argmax(loss_activation.output, axis=1) == y)

    if not epoch % 50:
        print(f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:.3f}, lr: {optimizer.current_learning_rate}")

    loss_activation.backward(loss_activation.output, y)
    dense2.backward(loss_activation.dinputs)
    activation1.backward(dense2.dinputs)
    dense1.backward(activation1.dinputs)

    if epoch == 100:
        # decay is 0, so that pre_update_params leaves this alone
        optimizer.current_learning_rate = 0.2
    if epoch == 150:
        optimizer.momentum = 0.0
    if epoch == 200:
        optimizer.learning_rate = 0.1
        optimizer.decay = 1e-3
        optimizer.momentum = 0.7
    if epoch == 250:
        optimizer = Optimizer_Adam(learning_rate=0.01)
    if epoch == 350:
        optimizer = Optimizer_Adagrad(learning_rate=0.001)
    if epoch == 450:
        optimizer = Optimizer_RMSprop(learning_rate=0.002, decay=1e-3)
    if epoch == 550:
        optimizer = Optimizer_Adam(learning_rate=0.01, decay=1e-4)
    if epoch == 650:
        optimizer.iterations = 0
    if epoch == 700:
        optimizer.beta_1, optimizer.epsilon = 0.5, 1e-5
    if epoch == 800:
        # up the hill for a moment, then nothing, then on
        optimizer = Optimizer_SGD(learning_rate=-0.01)
    if epoch == 810:
        optimizer.current_learning_rate = 0
    if epoch == 850:
        optimizer.current_learning_rate = 0.1
        optimizer.momentum = 1.0 - 1e-3

    if epoch != 500:
        optimizer.pre_update_params()
    optimizer.update_params(dense2)
    if epoch % 10:
        optimizer.update_params(dense1)
    if epoch != 600:
        optimizer.post_update_params()

print(loss, optimizer.iterations)
print(dense1.weight_momentums[0, :5], dense2.bias_cache)
