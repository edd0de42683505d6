"""The same DAG in other frameworks; each file runs in an environment that holds that framework only."""
