"""The chapter's training as a script that a reader can run: its loop, its names, one optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["script"]

_SCRIPT = """\
from downslope.book import *
import numpy as np

init()
X, y = spiral_data(100, 3)

dense1 = Layer_Dense(2, 64)
activation1 = Activation_ReLU()
dense2 = Layer_Dense(64, 3)
loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()

optimizer = {optimizer}

for epoch in range({epochs}):
    dense1.forward(X)
    activation1.forward(dense1.output)
    dense2.forward(activation1.output)
    loss = loss_activation.forward(dense2.output, y)

    if epoch % 100 == 0:
        predictions = np.argmax(loss_activation.output, axis=1)
        accuracy = np.mean(predictions == y)
        print(f"epoch: {{epoch}}, acc: {{accuracy:.3f}}, loss: {{loss:.3f}}, lr: {{optimizer.current_learning_rate}}")

    loss_activation.backward(loss_activation.output, y)
    dense2.backward(loss_activation.dinputs)
    activation1.backward(dense2.dinputs)
    dense1.backward(activation1.dinputs)

    optimizer.pre_update_params()
    optimizer.update_params(dense1)
    optimizer.update_params(dense2)
    optimizer.post_update_params()
"""


def script(settings: Mapping[str, Any], epochs: int = 10_001) -> str:
    """Return a complete script in the chapter's style, over `downslope.book`.

    Parameters
    ----------
    settings : mapping
        "optimizer", the name after `Optimizer_`, and its arguments: {"optimizer": "SGD", "learning_rate": 0.85}.
    epochs : int
        How many times the loop goes round.

    Examples
    --------
    >>> print(script({"optimizer": "SGD", "learning_rate": 0.85}, epochs=101).splitlines()[11])
    optimizer = Optimizer_SGD(learning_rate=0.85)
    """
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items() if name != "optimizer")
    return _SCRIPT.format(optimizer=f"Optimizer_{settings['optimizer']}({given})", epochs=epochs)
