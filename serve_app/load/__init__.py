"""A load generator that takes little of the machine it measures; `scoring load` and the benchmarks.

Closed loop: each of N connections sends its next request when the last is answered. Open loop:
requests arrive as a Poisson process and wait for nobody. Requests are built before the run.
"""
