"""APEE, the Asynchronous Parallel Execution Engine (paper §III-B, Eq. 5, Alg. 2)."""
