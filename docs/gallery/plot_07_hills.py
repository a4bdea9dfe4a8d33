"""
Down the hills
==============

Figures 10.02 to 10.14 of the chapter, on a function of our own with the same features: local minima on the way to the
lowest one, and walls on which a descent explodes.
"""

import textwrap

import downslope as ds
from downslope.book.descents import DESCENTS


def paths(*numbers):
    """Return the descents of these figures."""
    return [descent for number in numbers for descent in DESCENTS[number].descents()]


function = ds.landscape_picture(ds.landscape("hills"))

# %%
# Plain descent: the larger the learning rate, the later the hollow in which the ball comes to rest.

plain = ds.descent_picture(paths("10.03", "10.04", "10.05"))

# %%
# A small learning rate with a large momentum rolls over every hill.

rolling = ds.descent_picture(paths("10.06", "10.07", "10.08"))

# %%
# A learning rate too large jumps about, or overshoots at random, or explodes:

for number in ("10.09", "10.10", "10.11"):
    print(textwrap.fill(DESCENTS[number].caption, 100))
large = ds.descent_picture(paths("10.09", "10.10", "10.11"))

# %%
# Well chosen settings; the last need only a few steps.

chosen = ds.descent_picture(paths("10.12", "10.13"))

# %%
# Value against steps, from a learning rate far too high to one too low:

print(textwrap.fill(DESCENTS["10.14"].caption, 100))
rates = ds.rates_picture(paths("10.14"))
