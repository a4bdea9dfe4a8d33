"""
Optimizers compared fairly
==========================

One run says little: its seed may have been lucky. Here every optimizer is first given its best learning rate, found
by runs with other seeds, and is then trained from sixteen initial weights, the same for all. Bands hold the middle
half and nine tenths of the runs.
"""

import downslope as ds

comparison = ds.compare(
    ds.MLP([2, 64, 3]),
    ds.data.spiral(),
    [ds.SGD(), ds.SGD(momentum=0.9), ds.Adagrad(), ds.RMSprop(), ds.Adam()],
    labels=["sgd", "sgd, momentum 0.9", "adagrad", "rmsprop", "adam"],
    epochs=1_000,
    seeds=16,
    tune=True,
)
picture = comparison.plot()
print(comparison.table().select("label", "loss_median", "loss_low", "loss_high", "exploded"))
