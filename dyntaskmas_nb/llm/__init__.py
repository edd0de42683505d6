"""Llama backends behind one protocol (`protocol.Backend`): embedded, OpenAI-compatible, simulated."""
