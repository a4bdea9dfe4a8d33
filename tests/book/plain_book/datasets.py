"""The chapter's data and beginning, straight in NumPy (see the package's head)."""

# ruff: noqa: N806, NPY002 - the names and the generator are the chapter's

import numpy as np

chosen = [np.float64]


def dtype():
    return chosen[0]


def init(default_dtype="float32", random_seed=0):
    chosen[0] = np.dtype(default_dtype).type
    np.random.seed(random_seed)


def spiral_data(samples, classes):
    X = np.zeros((samples * classes, 2), dtype=dtype())
    y = np.zeros(samples * classes, dtype="uint8")
    for k in range(classes):
        rows = range(samples * k, samples * (k + 1))
        r = np.linspace(0.0, 1, samples)
        t = np.linspace(k * 4, (k + 1) * 4, samples) + np.random.randn(samples).astype(dtype()) * 0.2
        X[rows] = np.c_[r * np.sin(t * 2.5), r * np.cos(t * 2.5)]
        y[rows] = k
    return X, y


def vertical_data(samples, classes):
    X = np.zeros((samples * classes, 2), dtype=dtype())
    y = np.zeros(samples * classes, dtype="uint8")
    for k in range(classes):
        rows = range(samples * k, samples * (k + 1))
        x_values = np.random.randn(samples).astype(dtype()) * 0.1 + k / 3
        y_values = np.random.randn(samples).astype(dtype()) * 0.1 + 0.5
        X[rows] = np.c_[x_values, y_values]
        y[rows] = k
    return X, y
