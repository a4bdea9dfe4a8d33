"""
Adagrad and RMSprop
===================

Figures 10.20 and 10.21 of the chapter, and its last run. Both rules divide every step by the root of squared
gradients, parameter by parameter. Adagrad adds them all up, so its steps only shrink; RMSprop forgets, and asks for a
smaller learning rate. How small decides: the third run differs from the second by its settings alone.
"""

import downslope as ds

data = ds.data.spiral(samples=100, classes=3, seed="chapter")
optimizers = [
    ds.Adagrad(learning_rate=ds.InverseTime(1.0, decay=1e-4)),
    ds.RMSprop(learning_rate=ds.InverseTime(0.001, decay=1e-4), rho=0.9),
    ds.RMSprop(learning_rate=ds.InverseTime(0.02, decay=1e-5), rho=0.999),
]
pictures = []
for optimizer in optimizers:
    run = ds.Run(ds.MLP([2, 64, 3]), data, optimizer)
    run.train(epochs=10_001)
    print(f"{optimizer.name()}: loss {run.history.loss[-1]:.3f}, accuracy {run.history.accuracy[-1]:.3f}")
    pictures.append(run.plot())
