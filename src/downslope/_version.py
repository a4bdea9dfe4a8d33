"""The version, read by the build and by `downslope --version`."""

__version__ = "0.1.0"
