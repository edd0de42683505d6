"""Llama checkpoints of Hugging Face, computed in this process with torch, on a CPU or a CUDA GPU."""
