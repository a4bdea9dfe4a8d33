"""Optimizers you can see, steer and take with you."""
