"""
Momentum
========

Figures 10.18 and 10.19 of the chapter: a velocity that remembers, so that each step keeps a share of the one before,
first half of it and then nine tenths.
"""

import downslope as ds

data = ds.data.spiral(samples=100, classes=3, seed="chapter")
pictures = []
for momentum in (0.5, 0.9):
    optimizer = ds.SGD(learning_rate=ds.InverseTime(1.0, decay=1e-3), momentum=momentum)
    run = ds.Run(ds.MLP([2, 64, 3]), data, optimizer)
    run.train(epochs=10_001)
    print(f"momentum {momentum}: loss {run.history.loss[-1]:.3f}, accuracy {run.history.accuracy[-1]:.3f}")
    pictures.append(run.plot(title=f"SGD, momentum {momentum}"))
