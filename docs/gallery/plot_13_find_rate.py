"""
Which learning rate?
====================

The range test makes one update at each rate, from tiny to huge, on a copy of the run: the suggestion is where the
smoothed loss has made nine tenths of its fall. Dots and crosses are 200 updates at one rate each. The curve still falls
where they explode: what a single update survives is no rate to train with.
"""

import downslope as ds

run = ds.Run(ds.MLP([2, 64, 2]), ds.data.circles(), ds.SGD(momentum=0.9), batch_size=32)
test = ds.find_rate(run)
print(f"suggested {test.suggestion:.2g}, explodes from {test.threshold:.2g} on")
picture = test.plot()
