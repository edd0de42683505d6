"""DTGG, the Dynamic Task Graph Generator (paper §III-A, Eqs. 1-4, Alg. 1)."""
