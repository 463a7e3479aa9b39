"""How fast PICCL is, beside what people would use instead and what the machine can do.

Nothing of PICCL imports it. `python -m benchmarks --help` says how it is run.
"""
