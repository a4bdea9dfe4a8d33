"""
The chapter's training
======================

Two inputs, 64 neurons, three classes, on the book's spiral and from the book's own weights. A run is drawn as it stands
after its last update. Figure 10.01 of the chapter, plain gradient descent with a learning rate of 1:
"""

import downslope as ds

data = ds.data.spiral(samples=100, classes=3, seed="chapter")
run = ds.Run(ds.MLP([2, 64, 3]), data, ds.SGD(learning_rate=1.0))
run.train(epochs=10_001)
first = run.plot()

# %%
# Figure 10.19: a learning rate that falls, and momentum.

optimizer = ds.SGD(learning_rate=ds.InverseTime(1.0, decay=1e-3), momentum=0.9)
run = ds.Run(ds.MLP([2, 64, 3]), data, optimizer)
run.train(epochs=10_001)
picture = run.plot()
