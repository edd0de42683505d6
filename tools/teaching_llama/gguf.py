"""Turns a checkpoint's folder into a GGUF file for llama.cpp: `python -m tools.teaching_llama.gguf FOLDER FILE`.

Needs the package `gguf` (in the extra `test`). Everything is written as float32, so that llama.cpp computes
what our engine does. Three things differ between the two:

- Rotary pairs. Ours (Hugging Face's layout) are (i, i + d/2) of a head of d, llama.cpp's (2i, 2i + 1): the rows
  of Q and K change places.
- The pre-tokenizer. llama.cpp knows a list of them by name and no pattern of one's own. `gpt-2` is exact for a
  tokenizer with that pattern; for any other we name `superbpe`, which cuts nothing but digits off. That comes to
  the same where no merge crosses our cuts, as in prose; JSON that only half resembles the planner's may be cut
  into other tokens.
- Placeholders. Words stay words there: `lexicon.txt` is our engine's alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.embedded.chat import BEGIN, CONTROLS, END
from dyntaskmas_nb.llm.embedded.checkpoint import Floats, LlamaConfig, read_config, read_weights

TEMPLATE = (
    "{{ '<|bos|>' }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The chat template of `embedded.chat`, in Jinja."""


def convert(folder: Path, target: Path) -> None:
    """Write the checkpoint in `folder` to the GGUF file `target`; raises `BadWeights` for what cannot be said."""
    config = read_config(folder)
    if config.rope_scaling:
        raise BadWeights(f"{folder}: rescaled rotary frequencies are not converted to GGUF.")
    writer = gguf.GGUFWriter(target, "llama")
    try:
        _shape(writer, folder.name, config)
        _tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), config)
        for name, tensor in _tensors(folder, config).items():
            writer.add_tensor(name, np.ascontiguousarray(tensor))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _shape(writer: gguf.GGUFWriter, name: str, config: LlamaConfig) -> None:
    """Write the sizes and constants."""
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _tokenizer(writer: gguf.GGUFWriter, source: dict[str, Any], config: LlamaConfig) -> None:
    """Write vocabulary, merges and chat template; what the vocabulary has no name for stays unused."""
    ids: dict[str, int] = source["model"]["vocab"]
    special = {entry["content"]: entry["id"] for entry in source["added_tokens"] if entry["special"]}
    ids = ids | special
    names = [f"[unused {index}]" for index in range(config.vocab_size)]
    kinds = [gguf.TokenType.UNUSED] * config.vocab_size
    for name, index in ids.items():
        names[index] = name
        kinds[index] = gguf.TokenType.CONTROL if name in special else gguf.TokenType.NORMAL
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in source["model"]["merges"]]
    if missing := [name for name in CONTROLS if name not in special]:
        raise BadWeights(
            f"tokenizer.json lacks the special tokens {', '.join(missing)} of the chat template."
        )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(source["pre_tokenizer"]))
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids[BEGIN])
    writer.add_eos_token_id(ids[END])
    writer.add_add_bos_token(False)  # the template has it
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)


def _pre_tokenizer(source: dict[str, Any]) -> str:
    """Llama.cpp's name for what cuts a text before the merges."""
    plain = source["type"] == "ByteLevel" and source.get("use_regex", True)
    if source.get("add_prefix_space"):
        raise BadWeights("tokenizer.json puts a space before every text, which is not converted to GGUF.")
    return "gpt-2" if plain else "superbpe"


def _tensors(folder: Path, config: LlamaConfig) -> dict[str, Floats]:
    """Every parameter under llama.cpp's name."""
    weights = read_weights(folder, config)
    tensors = {"token_embd.weight": weights.embedding, "output_norm.weight": weights.norm}
    if not config.tie_word_embeddings:
        tensors["output.weight"] = weights.head
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    for index, layer in enumerate(weights.layers):
        query, key, value = np.split(layer.query_key_value, [queries, queries + keys])
        gate, up = np.split(layer.gate_up, 2)
        tensors |= {
            f"blk.{index}.{name}.weight": tensor
            for name, tensor in (
                ("attn_norm", layer.attention_norm),
                ("attn_q", _paired(query, config.head_dim)),
                ("attn_k", _paired(key, config.head_dim)),
                ("attn_v", value),
                ("attn_output", layer.output),
                ("ffn_norm", layer.mlp_norm),
                ("ffn_gate", gate),
                ("ffn_up", up),
                ("ffn_down", layer.down),
            )
        }
    return tensors


def _paired(rows: Floats, width: int) -> Floats:
    """Put the two rows that turn together, i and i + width/2 of each head, next to each other."""
    halves = rows.reshape(-1, 2, width // 2, rows.shape[-1])
    return halves.swapaxes(1, 2).reshape(rows.shape)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
