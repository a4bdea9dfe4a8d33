"""
Down the hills
==============

Figures 10.03 to 10.08 and 10.14 of the chapter, on a function of our own with the same features. Plain descent first:
the larger the learning rate, the later the hollow in which the ball comes to rest.
"""

import downslope as ds
from downslope.book.descents import DESCENTS


def paths(*numbers):
    """Return the descents of these figures."""
    return [descent for number in numbers for descent in DESCENTS[number].descents()]


plain = ds.descent_picture(paths("10.03", "10.04", "10.05"))

# %%
# A small learning rate with a large momentum rolls over every hill; a good one takes fewer steps.

rolling = ds.descent_picture(paths("10.06", "10.07", "10.08"))

# %%
# Value against steps, from a learning rate far too high to one too low:

print(DESCENTS["10.14"].caption)
rates = ds.rates_picture(paths("10.14"))
