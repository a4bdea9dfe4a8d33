"""
Which learning rate?
====================

The range test makes one update at each rate, from tiny to huge, on a copy of the run: the suggestion is where the
smoothed loss has made nine tenths of its fall. Beside it stands what was measured at constant rates: where training
holds, and from which rate on it explodes.
"""

import downslope as ds

run = ds.Run(ds.MLP([64, 64, 10]), ds.data.digits(), ds.SGD(momentum=0.9), batch_size=64)
test = ds.find_rate(run)
print(f"suggested {test.suggestion:.2g}, holds at {test.held:.2g}, explodes from {test.threshold:.2g} on")
picture = test.plot()
