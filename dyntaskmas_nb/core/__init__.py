"""The nouns: task, graph, delta, command, event, effect. Pure data, no input or output (paper §III-A, Eq. 1)."""
