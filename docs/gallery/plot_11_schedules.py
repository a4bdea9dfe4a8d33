"""
Schedules
=========

A learning rate may change with every update. Schedules stand wherever a rule takes its learning rate, and follow one
another with ``then``; looked at before any training, they cost nothing.
"""

import downslope as ds

schedules = {
    "inverse time": ds.InverseTime(1.0, decay=0.005),
    "cosine": ds.Cosine(1.0, steps=1000),
    "one cycle": ds.OneCycle(1.0, steps=1000),
    "warm-up, then steps": ds.LinearWarmup(1.0, steps=100).then(ds.Step(1.0, every=300, factor=0.4)),
}
picture = ds.schedule_picture(schedules, steps=1000)
