"""Accuracy on handwritten digits beside scikit-learn's MLPClassifier: python benchmarks/digits_accuracy.py

Both train 64-64-10 with ReLU and Adam on the same 80 % of the digits, with the same standardized float32 inputs and the
same settings, and are measured on the same 20 %. The seed decides split, initial weights and batches. What still
differs: the random draws; biases start at zero here and are drawn there; epsilon is added after Adam's correction here
and before it there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings

import downslope as ds
from machine import describe_machine

EPOCHS = 50
HIDDEN = 64
BATCH_SIZE = 32
SHARE = 0.2
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 0.001, 0.9, 0.999, 1e-7


def ours(seed: int) -> ds.Run:
    """Return our run on the digits, trained."""
    run = ds.Run(
        ds.MLP([64, HIDDEN, 10], initial_weights="glorot"),
        ds.data.digits(),
        ds.Adam(LEARNING_RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON),
        batch_size=BATCH_SIZE,
        validation=SHARE,
        standardize=True,
        seed=seed,
    )
    run.train(EPOCHS, progress=False)
    return run


def theirs(run: ds.Run, seed: int) -> float:
    """Return the validation accuracy of scikit-learn's classifier, given the very rows `run` was given."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(
        hidden_layer_sizes=(HIDDEN,),
        solver="adam",
        alpha=0.0,
        batch_size=BATCH_SIZE,
        learning_rate_init=LEARNING_RATE,
        beta_1=BETA_1,
        beta_2=BETA_2,
        epsilon=EPSILON,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS + 1,  # never stop early
        random_state=seed,
    )
    training, validation = run.problem.training, run.problem.validation
    assert validation is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it has not converged after EPOCHS, and need not
        classifier.fit(*training)
    assert classifier.n_iter_ == EPOCHS
    return float(classifier.score(*validation))


def row(name: str, accuracies: list[float]) -> str:
    """Return one line of the table."""
    mean, deviation = statistics.mean(accuracies), statistics.stdev(accuracies)
    return f"{name:<14}{mean:8.4f}{deviation:8.4f}{min(accuracies):8.4f}{max(accuracies):8.4f}"


def main() -> int:
    """Print both accuracies over all seeds; return 0 if our mean lies within scikit-learn's spread."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=10, help="how many, at least 2")
    seeds = arguments.parse_args().seeds
    print(describe_machine("scikit-learn"))
    print(f"\ndigits, 64-{HIDDEN}-10, Adam, {EPOCHS} epochs, batch size {BATCH_SIZE}, {SHARE:.0%} for validation")
    print("\nseed  downslope  scikit-learn")
    mine, other = [], []
    start = time.perf_counter()
    for seed in range(seeds):
        run = ours(seed)
        mine.append(run.evaluate("validation")["accuracy"])
        other.append(theirs(run, seed))
        print(f"{seed:>4}{mine[-1]:>11.4f}{other[-1]:>14.4f}")
    print(f"\n{'':<14}{'mean':>8}{'sd':>8}{'min':>8}{'max':>8}")
    print(row("downslope", mine))
    print(row("scikit-learn", other))
    within = min(other) <= statistics.mean(mine) <= max(other)
    difference = statistics.mean(mine) - statistics.mean(other)
    print(f"\nOur mean lies {'within' if within else 'OUTSIDE'} scikit-learn's spread (min to max); ", end="")
    print(f"difference of the means {difference:+.4f}; {time.perf_counter() - start:.0f} s")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
