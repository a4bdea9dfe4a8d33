"""The guard's judgement of one step: from what the step was like, and what it remembers, to what is to be told.

Pure scalar logic over three rows of float64 numbers, written once: plain Python runs it as it stands, and the compiled
engine compiles it. It allocates nothing, raises nothing and uses + − × ÷, comparisons and `math.sqrt` alone, so that
both give the same bits.

Six signals are looked at, each against what training was like before. With L the running mean of the loss (at least a
share of the loss at the start), u = ‖Δθ‖ and c = mean(Δθ·g_after) / mean(‖Δθ‖²), the curvature along recent updates as
the batches after them saw it:

- the loss is far above L, by more than its usual spread;
- the loss rises steeply where the last update ended: Δθ·g_after is above L;
- this update is predicted to raise the loss: ½ c u² is above L;
- this update, as far as its own gradient goes, takes more off the loss than there is: −Δθ·g is above it;
- this update is large beside the weights;
- this update is far above its mean, and c is above 0 or the update large beside the weights.

One of them is a watch. While a learning rate is **new** (not yet proven by so many quiet steps), an alarm is one of
`PATTERNS`: two or three measures of this kind that are large together. At a rate that training is used to, several
signals must agree for several steps, since a batch of rare rows looks the same once. A number that is not finite is an
alarm by itself. The patterns were learnt by `benchmarks/guard/learn.py`, the other thresholds found by
`benchmarks/guard`; there the gradient's norm against its own past brought false alarms and nothing else, so it is no
signal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = [
    "ALARM",
    "ANY",
    "CLIPPED",
    "DEAD",
    "LIMITS",
    "MEASURES",
    "MEMORY",
    "OSCILLATION",
    "PATTERNS",
    "PLATEAU",
    "SIGNALS",
    "WATCH",
    "Limit",
    "judge",
]

WATCH, ALARM, PLATEAU, OSCILLATION, DEAD, CLIPPED = 1, 2, 4, 8, 16, 32

SIGNALS = (
    "step",
    "loss",
    "gradient_norm",
    "slope_before",
    "slope_after",
    "slope_now",
    "update_norm",
    "weight_norm",
    "largest_weight",
    "learning_rate",
    "dead",
)
(
    STEP,
    LOSS,
    GRADIENT_NORM,
    SLOPE_BEFORE,
    SLOPE_AFTER,
    SLOPE_NOW,
    UPDATE_NORM,
    WEIGHT_NORM,
    LARGEST_WEIGHT,
    LEARNING_RATE,
    DEAD_SHARE,
) = range(len(SIGNALS))

MEMORY = (
    "good",  # the last step after whose update all was well
    "seen",  # steps since the memory began
    "candidate",  # a quiet step that becomes good when enough quiet ones follow; below 0: none
    "candidate_rate",  # the learning rate there
    "proven_rate",  # the largest rate of a good step
    "last_rate",
    "last_update",
    "first_loss",
    "first_ratio",  # the largest update over weights while no rate is proven
    "start",  # mean loss of the first steps
    "level",  # running means, outliers cut off: of the loss …
    "level_spread",  # … of its squared distance from that
    "recent",  # the same over three steps, as it is
    "lowest_level",  # the lowest level at a good step
    "update",
    "slope",  # running means as they are: of slope_after …
    "square",  # … of the squared norm of the update before
    "streak",  # steps in a row at which enough signals agreed
    "quiet",  # steps in a row at which none was up
    "watch_on",  # 1 while an episode lasts
    "alarm_on",
    "slow",  # the loss over a long time
    "lowest",  # the lowest `slow` that counted as a fall …
    "lowest_since",  # … and how many steps ago
    "plateau_on",
    "overshoot",  # share of steps that ended beyond the minimum along them
    "overshoot_steps",  # how long that has been high
    "overshoot_level",  # the loss when that began
    "oscillation_on",
    "dead_on",
)
(
    GOOD, SEEN, CANDIDATE, CANDIDATE_RATE, PROVEN_RATE, LAST_RATE, LAST_UPDATE, FIRST_LOSS, FIRST_RATIO, START, LEVEL,
    LEVEL_SPREAD,
    RECENT, LOWEST_LEVEL, UPDATE, SLOPE, SQUARE, STREAK, QUIET, WATCH_ON, ALARM_ON, SLOW, LOWEST, LOWEST_SINCE,
    PLATEAU_ON, OVERSHOOT, OVERSHOOT_STEPS, OVERSHOOT_LEVEL, OSCILLATION_ON, DEAD_ON,
) = range(len(MEMORY))  # fmt: skip


class Limit(NamedTuple):
    """One threshold of the judge: its name, its value unless another is given, what it means."""

    name: str
    default: float
    meaning: str


LIMITS = (
    Limit("loss_rise", 3.2, "loss over its running mean"),
    Limit("slope_rise", 3.5, "slope of the loss at the end of the last update, over the running mean of the loss"),
    Limit("predicted_rise", 4.0, "rise of the loss this update predicts, over the running mean of the loss"),
    Limit("promised_fall", 2.0, "fall of the loss that the slope along this update promises, over the loss"),
    Limit("update_ratio", 0.22, "norm of the update over norm of the weights"),
    Limit("large_ratio", 0.2, "norm of the update over norm of the weights that is large whatever the curvature"),
    Limit("update_rise", 28.0, "norm of the update over its running mean"),
    Limit("noise", 4.0, "usual spreads by which the loss must also be above its running mean"),
    Limit("floor", 0.07, "share of the loss at the start below which the loss's running mean counts as this"),
    Limit("new_rate", 1.24, "learning rate, over the largest one proven, from which on it is new"),
    Limit("settle", 50.0, "quiet steps that prove a learning rate, make a step good and end an episode"),
    Limit("window", 30.0, "steps the running means are taken over"),
    Limit("pattern", 1.0, "factor on all numbers of `PATTERNS`, which make an alarm at a new learning rate"),
    Limit("first_rise", 5.0, "where no rate is proven yet, loss of the last three steps over the very first, and …"),
    Limit("first_update", 0.5, "… largest norm of an update until then over norm of the weights"),
    Limit("votes", 3.0, "signals that make an alarm at a proven learning rate"),
    Limit("streak", 4.0, "steps in a row that so many signals must agree at a proven learning rate"),
    Limit("patience", 2000.0, "steps without a fall of the loss that make a plateau"),
    Limit("least_fall", 1e-3, "relative fall of the loss that ends a plateau"),
    Limit("arrived", 0.01, "share of the loss at the start below which a plateau is an arrival, not told"),
    Limit("overshoot", 0.9, "share of steps ending beyond the minimum along them that makes an oscillation"),
    Limit("overshoot_steps", 300.0, "steps for which that must last, while the loss falls by less than 1 %"),
    Limit("dead", 0.5, "share of hidden units without a gradient"),
)
(
    LOSS_RISE, SLOPE_RISE, PREDICTED_RISE, PROMISED_FALL, UPDATE_RATIO, LARGE_RATIO, UPDATE_RISE, NOISE, FLOOR,
    NEW_RATE, SETTLE, WINDOW, PATTERN, FIRST_RISE, FIRST_UPDATE, VOTES, STREAK_STEPS, PATIENCE, LEAST_FALL, ARRIVED,
    OVERSHOOT_SHARE, OVERSHOOT_LAST, DEAD_LIMIT,
) = range(len(LIMITS))  # fmt: skip

MEASURES = (
    "slope",  # of the loss at the end of the last update, Δθ·g_after, over L
    "bend",  # ½ |c| u² over L
    "net",  # the change of the loss this update predicts, Δθ·g + ½ c u², over L
    "promise",  # the fall that its slope alone promises, −Δθ·g, over the loss
    "ratio",  # norm of the update over norm of the weights
    "update",  # norm of the update over its running mean
    "recent",  # loss of the last three steps over the lowest L of a good step
    "sharp",  # ½ c u² over L with the curvature along the last update alone
    "unrest",  # usual spread of the loss over L
    "leap",  # learning rate over the largest one proven
)
ANY = -math.inf

# fmt: off
PATTERNS = (
    # slope bend net  promise ratio  update  recent sharp unrest leap
    (ANY,  5.6, ANY, 3.0,    0.03,  ANY,    ANY,   ANY,  ANY,   ANY),
    (1.0,  ANY, ANY, ANY,    0.027, ANY,    2.6,   ANY,  ANY,   ANY),
    (ANY,  ANY, ANY, ANY,    0.53,  24.0,   ANY,   ANY,  ANY,   ANY),
    (ANY,  ANY, ANY, ANY,    0.28,  5.1,    ANY,   ANY,  0.24,  ANY),
    (ANY,  ANY, ANY, 4.9,    ANY,   40.0,   ANY,   ANY,  ANY,   ANY),
    (ANY,  ANY, ANY, ANY,    0.081, ANY,    2.1,   ANY,  ANY,   ANY),
    (ANY,  ANY, 2.5, ANY,    ANY,   ANY,    ANY,   ANY,  0.11,  4.5),
    (ANY,  ANY, ANY, ANY,    ANY,   360.0,  ANY,   4.5,  0.071, ANY),
    (ANY,  ANY, ANY, 0.1,    ANY,   1100.0, ANY,   ANY,  ANY,   ANY),
    (ANY,  ANY, ANY, 0.16,   ANY,   160.0,  ANY,   ANY,  0.53,  ANY),
    (ANY,  1.6, ANY, 4.5,    ANY,   5.1,    ANY,   ANY,  ANY,   ANY),
    (ANY,  ANY, ANY, 3.4,    ANY,   87.0,   ANY,   ANY,  ANY,   ANY),
)
# fmt: on
"""What an alarm at a new learning rate looks like: one row each, of numbers that every measure must be above."""

LEAST = 1e-300  # what the mean loss counts as where the loss is nothing
FIRST_STEPS = 5.0  # whose mean loss is the start; before them nothing is an outlier, and no pattern counts
RECENT_SHARE = 0.3  # the recent loss is that of three steps,
SPREAD_SHARE = 0.02  # spreads are taken over 50 steps,
SLOW_SHARE = 0.005  # the slow loss over 200,
OVERSHOOT_RECENT = 0.02  # overshooting over 50
LEAST_OSCILLATION_FALL = 0.01
REARM = 0.8  # share of a limit below which what was told may be told again


def judge(signals: Any, memory: Any, limits: Any) -> int:  # noqa: PLR0912, PLR0915  # engines compile it in one piece
    """Return the codes newly raised at a step, as bits, and remember what the next step is judged by.

    It is called after the update of a step is made, before the next step begins. Each code is raised once an episode;
    an episode of watches and alarms ends after `settle` quiet steps.

    Parameters
    ----------
    signals : indexable of float64
        What the step was like: one number for each of `SIGNALS`.
    memory : indexable of float64
        One number for each of `MEMORY`; written into. At the start zeros, but for `good`: the step begun at.
    limits : indexable of float64
        One number for each of `LIMITS`.

    Returns
    -------
    int
        WATCH (one signal), ALARM, PLATEAU, OSCILLATION, DEAD, added up; 0 where nothing is new.

    References
    ----------
    Cohen et al., *Gradient descent on neural networks typically occurs at the edge of stability* (2021): there the loss
    falls unevenly, with curvature near 2/η, and nothing is wrong; so curvature alone is no signal.
    """
    step, loss, gradient = signals[STEP], signals[LOSS], signals[GRADIENT_NORM]
    update, weights, rate = signals[UPDATE_NORM], signals[WEIGHT_NORM], signals[LEARNING_RATE]
    before, after = signals[SLOPE_BEFORE], signals[SLOPE_AFTER]
    seen, level, codes = memory[SEEN], memory[LEVEL], 0

    total = loss + gradient + update + weights + signals[LARGEST_WEIGHT]
    if total - total != 0.0:  # infinite or NaN: nothing of it is remembered
        if memory[ALARM_ON] == 0.0:
            codes += ALARM
        memory[ALARM_ON] = 1.0
        memory[QUIET] = 0.0
        memory[CANDIDATE] = -1.0
        return codes

    share, spread_share, slow_share = 1.0 / limits[WINDOW], SPREAD_SHARE, SLOW_SHARE
    first = 1.0 / (seen + 1.0)  # in the first steps a mean is that of all so far
    share = max(share, first)
    spread_share = max(spread_share, first)
    slow_share = max(slow_share, first)
    if seen == 0.0:
        level = loss
        memory[START] = memory[LEVEL] = memory[SLOW] = memory[LOWEST] = loss
        memory[UPDATE] = update
        memory[RECENT] = memory[FIRST_LOSS] = loss
        memory[CANDIDATE] = -1.0

    # A rate that leaps up from calm is what is to be blamed: back to the step before it.
    is_new = rate > limits[NEW_RATE] * memory[PROVEN_RATE]
    if is_new and memory[QUIET] > 0.0 and rate > limits[NEW_RATE] * memory[LAST_RATE]:
        memory[GOOD] = step - 1.0
        memory[CANDIDATE] = -1.0

    floor = limits[FLOOR] * memory[START]
    base = max(level, floor, LEAST)
    votes = 0
    if loss > limits[LOSS_RISE] * base and loss - level > limits[NOISE] * math.sqrt(memory[LEVEL_SPREAD]):
        votes += 1
    has_slopes = after - after == 0.0 and before - before == 0.0
    if has_slopes:
        memory[SLOPE] += share * (after - memory[SLOPE])
        memory[SQUARE] += share * (memory[LAST_UPDATE] * memory[LAST_UPDATE] - memory[SQUARE])
        if after > limits[SLOPE_RISE] * base:
            votes += 1
    curvature = memory[SLOPE] / memory[SQUARE] if memory[SQUARE] > 0.0 else 0.0
    rise = 0.5 * curvature * update * update
    if rise > limits[PREDICTED_RISE] * base:
        votes += 1
    promise = -signals[SLOPE_NOW] / max(loss, base)
    if promise > limits[PROMISED_FALL]:
        votes += 1
    moved = update if update > 2.0 * memory[UPDATE] else 0.0  # longer than of late
    if moved > limits[UPDATE_RATIO] * weights:
        votes += 1
    if update > limits[UPDATE_RISE] * memory[UPDATE] and (curvature > 0.0 or update > limits[LARGE_RATIO] * weights):
        votes += 1

    memory[RECENT] += max(RECENT_SHARE, first) * (loss - memory[RECENT])
    # Before any rate is proven there is nothing to compare with but the loss at the start: too late, but told.
    agree = False
    if memory[PROVEN_RATE] == 0.0 and weights > 0.0:
        memory[FIRST_RATIO] = max(memory[FIRST_RATIO], update / weights)
        far = memory[FIRST_RATIO] > limits[FIRST_UPDATE]
        agree = far and memory[RECENT] > limits[FIRST_RISE] * memory[FIRST_LOSS]
    if is_new and seen >= FIRST_STEPS:
        slope, sharp = 0.0, 0.0
        if has_slopes:
            slope = after / base
            if memory[LAST_UPDATE] > 0.0:
                sharp = 0.5 * (after - before) / (memory[LAST_UPDATE] * memory[LAST_UPDATE]) * update * update / base
        measures = (
            slope,
            abs(rise) / base,
            (signals[SLOPE_NOW] + rise) / base,
            promise,
            update / weights if weights > 0.0 else 0.0,
            update / memory[UPDATE] if memory[UPDATE] > 0.0 else 0.0,
            memory[RECENT] / max(memory[LOWEST_LEVEL], floor) if memory[LOWEST_LEVEL] > 0.0 else 0.0,
            sharp,
            math.sqrt(memory[LEVEL_SPREAD]) / base,
            rate / memory[PROVEN_RATE] if memory[PROVEN_RATE] > 0.0 else 1.0,
        )
        for i in range(len(PATTERNS)):
            met = True
            for j in range(len(MEASURES)):
                met = met and measures[j] > limits[PATTERN] * PATTERNS[i][j]
            agree = agree or met
    if votes >= limits[VOTES]:
        memory[STREAK] += 1.0
    else:
        memory[STREAK] = 0.0
    if agree or memory[STREAK] >= limits[STREAK_STEPS]:
        if memory[ALARM_ON] == 0.0:
            codes += ALARM
        memory[ALARM_ON] = 1.0
    elif votes > 0 and memory[WATCH_ON] == 0.0 and memory[ALARM_ON] == 0.0:
        codes += WATCH
        memory[WATCH_ON] = 1.0

    if votes > 0 or agree:
        memory[QUIET] = 0.0
        memory[CANDIDATE] = -1.0
    else:
        memory[QUIET] += 1.0
        if memory[QUIET] >= limits[SETTLE]:
            memory[WATCH_ON] = memory[ALARM_ON] = 0.0
        if memory[CANDIDATE] < 0.0:
            memory[CANDIDATE] = step
            memory[CANDIDATE_RATE] = rate
        elif step - memory[CANDIDATE] >= limits[SETTLE]:
            memory[GOOD] = memory[CANDIDATE]
            memory[PROVEN_RATE] = max(memory[PROVEN_RATE], memory[CANDIDATE_RATE])
            low = memory[LOWEST_LEVEL]
            memory[LOWEST_LEVEL] = level if low == 0.0 or level < low else low
            memory[CANDIDATE] = step
            memory[CANDIDATE_RATE] = rate

    # What is usual, with outliers cut to a few times that, so that an explosion does not soon look usual.
    early = seen < FIRST_STEPS
    if early:
        memory[START] += first * (loss - memory[START])
    most = 2.0 * base
    distance = (most if loss > most and not early else loss) - level
    memory[LEVEL] = level + share * distance
    memory[LEVEL_SPREAD] += spread_share * (distance * distance - memory[LEVEL_SPREAD])
    most = 3.0 * memory[UPDATE]
    memory[UPDATE] += share * ((most if update > most and not early else update) - memory[UPDATE])
    memory[LAST_UPDATE] = update
    memory[LAST_RATE] = rate
    memory[SEEN] = seen + 1.0

    # Plateau: the slow loss has long not fallen, and has not come near nothing either.
    memory[SLOW] += slow_share * (loss - memory[SLOW])
    if memory[SLOW] < (1.0 - limits[LEAST_FALL]) * memory[LOWEST]:
        memory[LOWEST] = memory[SLOW]
        memory[LOWEST_SINCE] = 0.0
        memory[PLATEAU_ON] = 0.0
    else:
        memory[LOWEST_SINCE] += 1.0
        is_long = memory[LOWEST_SINCE] >= limits[PATIENCE]
        if is_long and memory[PLATEAU_ON] == 0.0 and memory[SLOW] > limits[ARRIVED] * memory[START]:
            codes += PLATEAU
            memory[PLATEAU_ON] = 1.0

    # Oscillation: nearly every step ends beyond the minimum along it (r > 1), and the loss hardly falls.
    if has_slopes:
        memory[OVERSHOOT] += OVERSHOOT_RECENT * ((1.0 if after > 0.0 else 0.0) - memory[OVERSHOOT])
    if memory[OVERSHOOT] < limits[OVERSHOOT_SHARE]:
        memory[OVERSHOOT_STEPS] = 0.0
        if memory[OVERSHOOT] < REARM * limits[OVERSHOOT_SHARE]:
            memory[OSCILLATION_ON] = 0.0
    else:
        if memory[OVERSHOOT_STEPS] == 0.0:
            memory[OVERSHOOT_LEVEL] = memory[LEVEL]
        memory[OVERSHOOT_STEPS] += 1.0
        if memory[OVERSHOOT_STEPS] > limits[OVERSHOOT_LAST]:
            memory[OVERSHOOT_STEPS] = 0.0
            is_stuck = memory[LEVEL] > (1.0 - LEAST_OSCILLATION_FALL) * memory[OVERSHOOT_LEVEL]
            if is_stuck and memory[OSCILLATION_ON] == 0.0 and memory[LEVEL] > limits[ARRIVED] * memory[START]:
                codes += OSCILLATION
                memory[OSCILLATION_ON] = 1.0

    if signals[DEAD_SHARE] > limits[DEAD_LIMIT]:
        if memory[DEAD_ON] == 0.0:
            codes += DEAD
        memory[DEAD_ON] = 1.0
    elif signals[DEAD_SHARE] < REARM * limits[DEAD_LIMIT]:
        memory[DEAD_ON] = 0.0
    return codes
