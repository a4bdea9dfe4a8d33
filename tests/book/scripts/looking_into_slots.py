# ruff: noqa
# What do momentums and caches look like while training goes on?
import numpy as np
import downslope.book as nnfs

nnfs.init()
np.set_printoptions(precision=8, linewidth=110)

X, y = nnfs.datasets.spiral_data(50, 3)
print(X[:3], X.dtype, y[::25])

for optimizer in (
    nnfs.Optimizer_SGD(decay=1e-3, momentum=0.5),
    nnfs.Optimizer_Adagrad(decay=1e-4, epsilon=1e-6),
    nnfs.Optimizer_RMSprop(learning_rate=0.02, rho=0.95),
    nnfs.Optimizer_Adam(learning_rate=0.02, beta_1=0.8),
):
    dense1 = nnfs.Layer_Dense(2, 8)
    dense2 = nnfs.Layer_Dense(8, 3)
    activation1 = nnfs.Activation_ReLU()
    loss_activation = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy()
    print(type(optimizer).__name__, vars(optimizer))
    print(sorted(vars(dense1)))
    kept = []

    for epoch in range(151):
        dense1.forward(X)
        activation1.forward(dense1.output)
        dense2.forward(activation1.output)
        loss = loss_activation.forward(dense2.output, y)
        loss_activation.backward(loss_activation.output, y)
        dense2.backward(loss_activation.dinputs)
        activation1.backward(dense2.dinputs)
        dense1.backward(activation1.dinputs)

        optimizer.pre_update_params()
        for layer in (dense1, dense2):
            optimizer.update_params(layer)
        optimizer.post_update_params()

        for slot in ("weight_momentums", "bias_momentums", "weight_cache", "bias_cache"):
            if hasattr(dense2, slot):
                kept.append(getattr(dense2, slot))
                if epoch % 50 == 0:
                    print(epoch, slot, getattr(dense2, slot)[0], np.abs(getattr(dense1, slot)).max())
        if epoch % 50 == 0:
            print(epoch, loss, optimizer.iterations, optimizer.current_learning_rate)
    # Adagrad adds to the cache that is there, so that every one kept shows the last; the others make new ones.
    print([float(np.sum(slot)) for slot in kept[:4]], len({id(slot) for slot in kept}))
    print(activation1.dinputs[:2], dense1.dbiases)
