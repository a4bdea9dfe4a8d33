"""
A race in the bent valley
=========================

Rosenbrock's valley is easy to find and long to follow. Each optimizer runs at the learning rate that serves it best
here, so what is compared is the rule and not the luck of a setting.
"""

import downslope as ds

valley, steps = ds.landscape("rosenbrock"), 300
optimizers = [ds.SGD(), ds.SGD(momentum=0.9), ds.SGD(momentum=0.9, nesterov=True), ds.Adam()]
best = [ds.tuned(valley, optimizer, steps=steps)[0] for optimizer in optimizers]
descents = [ds.descend(valley, optimizer, steps=steps) for optimizer in best]
picture = ds.descent_picture(descents)
for descent in descents:
    print(f"{descent.final_value:.2e} is left by {descent.optimizer}")
