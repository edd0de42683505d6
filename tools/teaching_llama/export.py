"""Turn a checkpoint into what ships, and read it back: `python -m tools.teaching_llama.export IN OUT`.

Every matrix becomes int8 with one float16 scale a row (weight = int8 * scale), under its Hugging Face name
and `<name>.scale`; vectors stay float32. `config.json` is a plain Hugging Face LlamaConfig.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from dyntaskmas_nb.llm.embedded.lexical import FILE
from tools.teaching_llama.lexicon import LEXICON
from tools.teaching_llama.mixture import SPECIALS
from tools.teaching_llama.model import Llama, Shape


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 rows and their float16 scales: the nearest of 255 steps, symmetric about zero."""
    scale = (weight.abs().amax(1) / 127).clamp(min=1e-7).half()
    rows = (weight / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return rows, scale


def config(shape: Shape) -> dict[str, object]:
    """Return the LlamaConfig, with the rotary base under both of its names."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.eps,
        "rope_theta": shape.theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.theta},
        "rope_scaling": None,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": SPECIALS.index("<|bos|>"),
        "eos_token_id": SPECIALS.index("<|end|>"),
        "pad_token_id": SPECIALS.index("<|pad|>"),
        "quantization": "int8-row",
    }


def shape_of(read: dict[str, Any]) -> Shape:
    """Return the sizes in a config that `config` made."""
    return Shape(
        vocab=read["vocab_size"],
        hidden=read["hidden_size"],
        layers=read["num_hidden_layers"],
        heads=read["num_attention_heads"],
        kv_heads=read["num_key_value_heads"],
        inner=read["intermediate_size"],
        positions=read["max_position_embeddings"],
    )


def export(source: Path, target: Path) -> None:
    """Write config.json, model.safetensors and tokenizer.json to `target`."""
    checkpoint = torch.load(source / "checkpoint.pt", map_location="cpu")
    state, shape = checkpoint["model"], Shape(**checkpoint["shape"])
    out: dict[str, Tensor] = {}
    for name, weight in state.items():
        if weight.ndim == 2:
            out[name], out[f"{name}.scale"] = quantise(weight.float())
        else:
            out[name] = weight.float()
    target.mkdir(parents=True, exist_ok=True)
    save_file(out, target / "model.safetensors", metadata={"format": "pt", "quantization": "int8-row"})
    (target / "config.json").write_text(json.dumps(config(shape), indent=2) + "\n")
    (target / "model.safetensors").chmod(0o644)
    shutil.copy(source / "tokenizer.json", target / "tokenizer.json")
    parts = ("\n".join(sorted(part)) for part in LEXICON)
    (target / FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def load(folder: Path) -> tuple[Llama, Tokenizer]:
    """Return the shipped model with its de-quantised weights, and its tokenizer."""
    stored = load_file(folder / "model.safetensors")
    state = {
        name: t.float() * stored[f"{name}.scale"].float()[:, None] if t.dtype == torch.int8 else t.float()
        for name, t in stored.items()
        if not name.endswith(".scale")
    }
    model = Llama(shape_of(json.loads((folder / "config.json").read_text())))
    model.load_state_dict(state)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return model.eval(), tokenizer


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
