"""How training steps are executed: plain NumPy to be read, compiled loops to be run."""
