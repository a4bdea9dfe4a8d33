"""
A map of two settings
=====================

Every cell is the median of two runs that differ by their weights. Too large a learning rate explodes, sooner with
momentum: those cells are hatched. The best one is ringed.
"""

import downslope as ds

result = ds.sweep(
    ds.MLP([2, 64, 3]),
    ds.data.spiral(),
    ds.SGD(),
    epochs=600,
    seeds=2,
    over={"learning_rate": ds.log(1e-2, 10, 20), "momentum": ds.linear(0, 0.99, 20)},
)
picture = result.plot()
print(result.best)
