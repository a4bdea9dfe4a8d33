"""The same training by other means, for benchmarks/engines.py: one file a library, imported only in its own process."""
