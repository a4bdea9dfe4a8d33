from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from downslope.errors import InputError
from downslope.network import (
    ACTIVATIONS,
    ELU,
    GELU,
    INITIALIZERS,
    LAYERS,
    LOSSES,
    Dense,
    Dropout,
    Glorot,
    He,
    Huber,
    LeakyReLU,
    Normal,
    ReLU,
    Uniform,
    activation,
    initializer,
    loss,
)
from downslope.network.layers import Layer
from downslope.network.parts import look_up

PARTS = [
    (LeakyReLU(slope=0.2), activation, "LeakyReLU(slope=0.2)"),
    (LeakyReLU(), activation, "LeakyReLU()"),
    (ELU(alpha=2), activation, "ELU(alpha=2.0)"),
    (Huber(delta=3), loss, "Huber(delta=3.0)"),
    (Normal(std=0.1), initializer, "Normal(std=0.1)"),
    (Uniform(limit=0.3), initializer, "Uniform(limit=0.3)"),
    (
        Dense(2, 3, l2=0.1, initial_weights="he"),
        lambda value: look_up("layer", Layer, LAYERS, value),
        "Dense(2, 3, l2=0.1, initial_weights=He())",
    ),
    (Dropout(0.25), lambda value: look_up("layer", Layer, LAYERS, value), "Dropout(0.25)"),
]


@pytest.mark.parametrize(("part", "look", "code"), PARTS)
def test_a_part_comes_back_from_its_description_and_its_repr(part, look, code):
    described = json.loads(json.dumps(part.describe()))
    assert look(described) == part
    assert hash(look(described)) == hash(part)
    assert look(part) is part
    assert repr(part) == code
    names = {"Dense": Dense, "Dropout": Dropout, "ELU": ELU, "He": He, "Huber": Huber, "LeakyReLU": LeakyReLU}
    assert eval(code, {**names, "Normal": Normal, "Uniform": Uniform}) == part


def test_settings_decide_equality():
    assert LeakyReLU(0.1) != LeakyReLU(0.2)
    assert Glorot() != He()
    assert Normal(1) == Normal(1.0)


@pytest.mark.parametrize(("look", "table"), [(activation, ACTIVATIONS), (loss, LOSSES), (initializer, INITIALIZERS)])
def test_every_name_gives_its_part(look, table):
    for name, kind in table.items():
        assert type(look(name)) is kind
        assert look(name).name == name
        assert look(name.upper().replace("-", "_")) == look(name)
    with pytest.raises(InputError, match="Received"):
        look("no such name")


def test_the_names_are_the_documented_ones():
    assert list(ACTIVATIONS) == [
        "relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "identity"
    ]  # fmt: skip
    assert list(LOSSES) == ["cross-entropy", "bce", "mse", "mae", "huber"]
    assert list(INITIALIZERS) == ["chapter", "glorot", "he", "normal", "uniform"]
    assert list(LAYERS) == ["dense", "dropout", *ACTIVATIONS]


def test_parts_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Dense(2, 3).inputs = 4  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Huber().delta = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: activation("rleu"),
            "activation must be one of relu, .*Received: activation='rleu'. Did you mean 'relu'",
        ),
        (lambda: activation(7), "activation must be one of relu, .*Received: activation=7"),
        (lambda: activation(GELU), "activation must be one of relu"),
        (lambda: activation({"slope": 1}), "activation must be one of relu, .*Received: activation=None"),
        (lambda: loss("crossentropy"), "loss must be one of .*Did you mean 'cross-entropy'"),
        (lambda: loss(ReLU()), "loss must be one of cross-entropy"),
        (lambda: loss({"name": "huber", "alpha": 1}), r"huber must be described by \['delta'\] only. Received: alpha"),
        (lambda: initializer("xavier"), "initial_weights must be one of chapter, glorot"),
        (
            lambda: look_up("layer", Layer, LAYERS, {"name": "dense", "inputs": 2}),
            "dense must be described with outputs. Received: layer=",
        ),
        (lambda: LeakyReLU(slope=-1), "slope must be at least 0. Received: slope=-1"),
        (lambda: ELU(alpha="x"), "alpha must be a number at least 0. Received: alpha='x'"),
        (lambda: Huber(delta=0), "delta must be above 0. Received: delta=0"),
        (lambda: Normal(std=-1), "std must be at least 0. Received: std=-1"),
        (lambda: Uniform(limit=float("inf")), "limit must be a finite number. Received: limit=inf"),
        (lambda: Dense(0, 3), "inputs must be a whole number at least 1. Received: inputs=0"),
        (lambda: Dense(3, 2.5), "outputs must be a whole number at least 1. Received: outputs=2.5"),
        (lambda: Dense(3, 2, l1=-0.1), "l1 must be at least 0. Received: l1=-0.1"),
        (lambda: Dense(3, 2, bias_l2=True), "bias_l2 must be a number at least 0. Received: bias_l2=True"),
        (lambda: Dense(3, 2, initial_weights="zeros"), "initial_weights must be one of"),
        (lambda: Dropout(1.0), "rate must be at least 0 and below 1. Received: rate=1.0"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(make, message):
    with pytest.raises(InputError, match=message):
        make()
