"""The nouns: task, graph, delta, command, event, effect. Pure data, no I/O (paper §III-A, Eq. 1)."""
