"""Runs steered in ways drawn at random: whatever was done, each step made again has the bits it had."""

import random
import warnings

import numpy as np
import pytest

import downslope as ds
from downslope.rules import RULES

SEEDS = range(40)
DATA = ds.data.spiral(12)
RATES = {
    "sgd": 0.3,
    "adagrad": 0.1,
    "adadelta": 1.0,
    "rmsprop": 0.005,
    "lion": 0.002,
    "ademamix": 0.005,
}  # others: 0.02


def rule_of(draw):
    name = draw.choice(sorted(RULES))
    rate = RATES.get(name, 0.02) * draw.choice([0.5, 1.0])
    schedules = (
        ds.InverseTime(rate, decay=0.05),
        ds.Cosine(rate, steps=draw.randint(5, 60)),
        ds.Constant(rate).for_steps(13).then(ds.Exponential(rate, rate=0.5, steps=20)),
    )
    momentum = {"momentum": draw.choice([0.0, 0.9])} if name in ("sgd", "rmsprop") else {}
    return RULES[name](learning_rate=draw.choice([rate, rate, *schedules]), **momentum)


def a_run(draw):
    policy = draw.choice([None, "warn", "stop", "rollback", "rollback", "clip"])
    plateau = draw.choice([None, ds.ReduceOnPlateau(patience=1, min_delta=0.05, factor=0.7)])
    limits = draw.choice([None, {"settle": 5.0}])
    return ds.Run(
        ds.MLP([2, 6, 3], dropout=draw.choice([0.0, 0.2]), l2=draw.choice([0.0, 1e-3])),
        DATA,
        rule_of(draw),
        batch_size=draw.choice([None, 5, 12]),
        validation=draw.choice([0.0, 0.25]),
        seed=draw.randint(0, 5),
        dtype=draw.choice(["float32", "float64"]),
        engine=draw.choice(["reference", "compiled", "compiled", "blas"]),
        guard=None if policy is None else ds.Guard(policy, plateau=plateau, limits=limits),
    )


def a_change(draw):
    return draw.choice([
        lambda: {"learning_rate": draw.choice([0.003, 0.05, 0.5])},
        lambda: {"optimizer": rule_of(draw)},
        lambda: {"schedule": ds.Cosine(0.1, steps=draw.randint(3, 30))},
        lambda: {"batch_size": draw.randint(1, 40)},
        lambda: {"optimizer": rule_of(draw), "batch_size": draw.randint(1, 40)},
    ])()  # fmt: skip


def trained(run, epochs, **options):
    try:
        run.train(epochs, progress=False, **options)
    except (ds.ExplosionError, ds.NonFiniteError):
        run.change(learning_rate=0.003)


class Course:
    """A run, and the bits it had at the steps it stood at; those that were undone are forgotten."""

    def __init__(self, seed, bits, directory):
        self.draw, self.bits, self.directory = random.Random(seed), bits, directory
        self.run, self.past = a_run(self.draw), {}

    def noted(self):
        run = self.run
        for entry in run.log:
            if entry.back_from is not None:
                self.past = {step: kept for step, kept in self.past.items() if step <= entry.step}
        if not any(entry.step == run.step for entry in run.log.acting()):
            self.past[run.step] = self.bits(run)

    def train(self):
        trained(self.run, self.draw.randint(1, 8))

    def change(self):
        entry = self.run.change(**a_change(self.draw))
        assert entry is self.run.log[-1]
        assert entry.step == self.run.step

    def change_meanwhile(self):
        def told(run, epoch):
            if self.draw.random() < 0.3:
                run.change(**a_change(self.draw))

        trained(self.run, self.draw.randint(1, 6), on_epoch=told)

    def explode(self):
        self.run.change(learning_rate=self.draw.choice([20.0, 1e4, 1e30]))
        trained(self.run, self.draw.randint(1, 6))
        self.run.change(learning_rate=0.02)

    def branch(self):
        before, step = self.bits(self.run), self.draw.randint(0, self.run.step)
        other = self.run.branch(at=step)
        if step in self.past and step < self.run.step:
            assert self.bits(other) == self.past[step]
        other.change(**a_change(self.draw))
        trained(other, 2)
        assert self.bits(other.replayed()) == self.bits(other)
        assert self.bits(self.run) == before
        if self.draw.random() < 0.4:
            self.run, self.past = other, {}

    def save(self):
        self.run.save(self.directory / self.run.id)
        loaded = ds.Run.load(self.directory / self.run.id)
        assert self.bits(loaded) == self.bits(self.run)
        assert [entry.line for entry in loaded.log] == [entry.line for entry in self.run.log]
        if self.draw.random() < 0.5:
            self.run = loaded

    def look_back(self):
        for step in self.draw.sample(sorted(self.past), min(2, len(self.past))):
            if step < self.run.step:
                assert self.bits(self.run.at(step)) == self.past[step]

    def made_again(self):
        assert self.bits(self.run.replayed()) == self.bits(self.run)
        assert self.run.history.epoch.tolist() == list(range(self.run.epoch))
        assert np.isfinite(self.run.parameters).all()


DONE = ("train", "train", "train", "change", "change", "change_meanwhile", "explode", "branch", "save", "look_back")


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_was_done_each_step_made_again_has_the_bits_it_had(seed, bits, tmp_path):
    course = Course(seed, bits, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ds.GuardWarning)  # explosions are made on purpose
        for name in course.draw.choices(DONE, k=10):
            getattr(course, name)()
            course.noted()
        for name in ("made_again", "save", "look_back", "train", "made_again"):
            getattr(course, name)()
