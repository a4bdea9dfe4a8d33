"""The names of what the kernels' tables hold, shared by the Python that fills them and the kernels that read them."""

from __future__ import annotations

from downslope.engines.judge import SIGNALS

PIECE = 1024  # parameters updated and measured at a time, while they are in the cache
LANE_BYTES = 64  # what is added side by side, whatever the processor's own vectors: 16 float32 or 8 float64

# The fields of an operation.
(
    KIND,  # DENSE, ACTIVATION or DROPOUT
    CODE,  # of an activation; of a dense layer, whether a ReLU is part of it
    INPUTS,  # features taken and given
    OUTPUTS,
    WEIGHTS,  # where a dense layer's parameters begin in the flat vector
    BIASES,
    FROM,  # buffers; −1 is the data
    TO,
    FUSED,  # whether the values a dense layer takes come from a ReLU that is part of the layer before
    MASK,  # the buffer of a dropout mask
    POSITION,  # of the layer in the network
) = range(11)
FIELDS = 11
CONSTANTS = 2  # real numbers for each operation: an activation's constant or a dropout rate
DENSE, ACTIVATION, DROPOUT = range(3)

# What a product does to each value on its way to memory.
NOTHING, RELU, RELU_GRADIENT = range(3)

# What `sizes` holds.
SIZES = (
    "operations", "parameters", "outputs", "targets", "tallies", "last_buffer", "loss", "penalties",
    "block", "batch_size", "rows", "stride", "held_out", "held_out_stride", "seed", "slots", "scalars", "update",
    "shuffled", "gather", "gather_targets", "scratch",
    "hidden",  # ranges of hidden units' biases, which follow the penalized ranges
    "watched",  # for how many alerts there is room; 0: nobody watches
    "halt", "traced",
    # addresses of the parts that are compiled on their own
    "product", "weight_gradient", "row_sums", "activate", "activate_back", "loss_pass", "fill_masks", "shuffle",
)  # fmt: skip
PARTS = SIZES[SIZES.index("product") :]

# A record of an epoch: these, then loss and tallies over the training rows, then over the held-out rows.
HEAD = ("penalty", "gradient_norm", "update_ratio", "largest_weight", "held_out_penalty")

# What describes a step, the first four as in a record: what `numbers` holds, then the batch's loss and tallies.
NUMBERS = ("penalty", "gradient_norm", "update_ratio", "largest_weight", "weight_norm", "failed")

# Each step watched has a row: its signals, then the codes. An alert is such a row, then the last good step.
CODES = len(SIGNALS)
ROW, ALERT = CODES + 1, CODES + 2

# What `report` holds, and what may be not finite; a slot is told by SLOT_FAILED + its number.
REPORT = ("steps", "epochs", "batches", "failed", "alerts", "halted")
LOSS_FAILED, GRADIENT_FAILED, WEIGHT_FAILED, SLOT_FAILED = 1, 2, 3, 4
