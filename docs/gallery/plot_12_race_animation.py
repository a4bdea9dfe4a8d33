"""
A race with four valleys
========================

Himmelblau's function has four minima, all of the same depth: from one start, rules may end in different ones. Each runs
at the learning rate that serves it best from there.
"""

import downslope as ds

ground, start = ds.landscape("himmelblau"), (0.0, -4.0)
optimizers = [ds.SGD(), ds.SGD(momentum=0.9), ds.Adam()]
best = [ds.tuned(ground, optimizer, start=start, steps=100)[0] for optimizer in optimizers]
descents = [ds.descend(ground, optimizer, start=start, steps=100) for optimizer in best]
ds.descent_animation(descents, "race.html")

# %%
# Where they end:

picture = ds.descent_picture(descents)
