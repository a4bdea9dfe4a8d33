"""PyTorch as its tutorials write it: nn.Sequential, CrossEntropyLoss, optim.Adam, one step after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from rivals.work import BETA_1, BETA_2, EPSILON, Clock, Play, Trained, Work


def eager(work: Work) -> Play:
    """Return the loop with optim.Adam as it comes."""
    return _loop(work, {})


def fused(work: Work) -> Play:
    """Return the loop with optim.Adam(fused=True)."""
    return _loop(work, {"fused": True})


def _loop(work: Work, options: dict[str, Any]) -> Play:
    inputs, labels = torch.from_numpy(work.inputs), torch.from_numpy(work.labels)
    batches = []
    if work.orders is not None:
        batches = [[torch.from_numpy(rows) for rows in work.batches(epoch)] for epoch in range(len(work.orders))]
    criterion = torch.nn.CrossEntropyLoss()

    def play(rates: Sequence[float], epochs: int) -> Trained:
        models = [_model(work) for _ in rates]
        losses = []
        clock = Clock()
        for rate, model in zip(rates, models, strict=True):
            optimizer = torch.optim.Adam(model.parameters(), lr=rate, betas=(BETA_1, BETA_2), eps=EPSILON, **options)

            def step(
                rows: Any, targets: Any, model: Any = model, optimizer: torch.optim.Optimizer = optimizer
            ) -> torch.Tensor:
                optimizer.zero_grad()
                loss: torch.Tensor = criterion(model(rows), targets)
                loss.backward()
                optimizer.step()
                return loss.detach()

            seen: list[torch.Tensor] = []  # the last epoch's losses; a user would look at more of them
            for epoch in range(epochs):
                if not batches:
                    seen = [step(inputs, labels)]
                else:
                    seen = [step(inputs[rows], labels[rows]) for rows in batches[epoch % len(batches)]]
            losses.append(float(torch.stack(seen).mean()))
        return Trained(clock.took(), losses)

    return play


def _model(work: Work) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for (given, taken), weights, biases in zip(pairwise(work.sizes), work.weights, work.biases, strict=True):
        dense = torch.nn.Linear(given, taken)
        with torch.no_grad():
            dense.weight.copy_(torch.from_numpy(weights.T.copy()))
            dense.bias.copy_(torch.from_numpy(biases[0].copy()))
        layers += [dense, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])
