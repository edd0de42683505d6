"""Trains the embedded teaching Llama: data generator, tokenizer, model, training, evaluation."""
