"""
The book's rows among many runs
===============================

Training with a large learning rate is chaotic: one last bit in one weight, and the loss after 10,000 epochs is
another. So a printed run is one draw of many. Here the book's rows of momentum 0.9 lie in the spread of 256 runs with
other seeds, and of 256 with its own weights moved by one unit in the last place.
"""

from downslope.book.spread import table
from downslope.book.spread_pictures import spread_picture

picture = spread_picture("sgd_momentum_0.9")

# %%
# Each printed row with the percentile at which it falls:

rows = table("sgd_momentum_0.9")
print(rows.select("epoch", "book_loss", "our_loss", "seeds_loss_percentile", "ulp_loss_percentile"))
