"""
A training, moment by moment
============================

``run.animate`` writes a training as GIF, MP4 or, as here, as one self-contained page with a player: pause it, drag
it, step through it with the arrow keys. Early epochs are shown more closely than later ones, and nothing flashes.
"""

import downslope as ds

optimizer = ds.SGD(learning_rate=ds.InverseTime(1.0, decay=1e-3), momentum=0.9)
run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), optimizer)
run.train(epochs=2_000)
run.animate("spiral.html")

# %%
# How it ends, as a picture:

picture = run.plot()
