"""
Learning rate decay
===================

Figures 10.15 to 10.17 of the chapter: a constant learning rate, one that falls too fast, and one that falls slowly.
All three begin with the same weights.
"""

import downslope as ds

data = ds.data.spiral(samples=100, classes=3, seed="chapter")
rates = [0.85, ds.InverseTime(1.0, decay=1e-2), ds.InverseTime(1.0, decay=1e-3)]
pictures = []
for rate in rates:
    run = ds.Run(ds.MLP([2, 64, 3]), data, ds.SGD(learning_rate=rate))
    run.train(epochs=10_001)
    print(f"learning rate {rate}: loss {run.history.loss[-1]:.3f}, accuracy {run.history.accuracy[-1]:.3f}")
    pictures.append(run.plot(title=f"SGD, learning rate {rate}"))
