"""Parts of ``tests/benchmarks/gpu.py``: each yields rows of its table."""
