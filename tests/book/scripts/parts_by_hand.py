# ruff: noqa
# Softmax and loss apart, every step by hand, and without init(): NumPy's seed and float64.
import numpy as np
from downslope.book import *

np.random.seed(7)
X, y = spiral_data(samples=80, classes=3)
dense1, dense2 = Layer_Dense(2, 16), Layer_Dense(16, 3)
activation1, activation2 = Activation_ReLU(), Activation_Softmax()
loss_function = Loss_CategoricalCrossentropy()
optimizer = Optimizer_SGD(learning_rate=1.0, decay=1e-3, momentum=0.8)

for epoch in range(401):
    dense1.forward(X)
    activation1.forward(dense1.output)
    dense2.forward(activation1.output)
    activation2.forward(dense2.output)
    loss = loss_function.calculate(activation2.output, y)
    predictions = np.argmax(activation2.output, axis=1)
    accuracy = np.mean(predictions == y)
    if not epoch % 40:
        print(f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:.3f}, lr: {optimizer.current_learning_rate}")

    loss_function.backward(activation2.output, y)
    activation2.backward(loss_function.dinputs)
    dense2.backward(activation2.dinputs)
    activation1.backward(dense2.dinputs)
    dense1.backward(activation1.dinputs)

    optimizer.pre_update_params()
    optimizer.update_params(dense1)
    optimizer.update_params(dense2)
    optimizer.post_update_params()

print(loss, activation2.output[:2], loss_function.dinputs[0])

# The two ways to the gradient, on the numbers of a small example
softmax_outputs = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
class_targets = np.array([0, 1, 1])

softmax_loss = Activation_Softmax_Loss_CategoricalCrossentropy()
softmax_loss.backward(softmax_outputs, class_targets)
activation = Activation_Softmax()
activation.output = softmax_outputs
loss = Loss_CategoricalCrossentropy()
loss.backward(softmax_outputs, class_targets)
activation.backward(loss.dinputs)
print("Gradients: combined loss and activation:")
print(softmax_loss.dinputs)
print("Gradients: separate loss and activation:")
print(activation.dinputs)
print(loss.calculate(softmax_outputs, np.eye(3, dtype=int)[class_targets]))

# One layer's forward pass on whole numbers
relu = Activation_ReLU()
relu.forward(np.array([[1, 2, -3, -4], [2, -7, -1, 3]]))
relu.backward(np.array([[1, 2, 3, 4], [-5, -6, 7, 8]]))
print(relu.output, relu.dinputs)

# Without gradients of the loss: a loop that walks the weights by hand
layer = Layer_Dense(4, 3)
layer.weights = np.array([[0.2, 0.8, -0.5, 1], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]]).T
layer.biases = np.array([[2, 3, 0.5]])
layer.forward(np.array([[1, 2, 3, 2.5], [2.0, 5.0, -1.0, 2], [-1.5, 2.7, 3.3, -0.8]]))
relu.forward(layer.output)
relu.backward(relu.output)
layer.backward(relu.dinputs)
layer.weights += -0.001 * layer.dweights
layer.biases += -0.001 * layer.dbiases
print(layer.weights)
print(layer.biases, layer.dinputs)
