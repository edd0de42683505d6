"""Agents: roles and prompts, Llama agents, plain Python functions as agents."""
