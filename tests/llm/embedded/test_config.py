from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.embedded.config import parse_config, read_config

PLAIN: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
    "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip


def test_defaults_are_those_of_the_hugging_face_config() -> None:
    config = parse_config(PLAIN)
    assert (config.num_key_value_heads, config.head_dim, config.rope_theta) == (4, 16, 10_000.0)
    assert not config.tie_word_embeddings
    assert config.eos_token_ids == ()


@pytest.mark.parametrize(
    ("fields", "theta"),
    [
        ({"rope_theta": 5.0}, 5.0),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 6.0}}, 6.0),
        ({"rope_scaling": None, "rope_theta": 7.0}, 7.0),
        ({"rope_scaling": LLAMA3, "rope_theta": 8.0}, 8.0),
        ({"rope_parameters": {**LLAMA3, "rope_theta": 9.0}}, 9.0),
    ],
)
def test_rotary_base_is_found_wherever_it_is_written(fields: dict[str, Any], theta: float) -> None:
    config = parse_config(PLAIN | fields)
    assert config.rope_theta == theta
    assert (config.rope_scaling is None) == ("llama3" not in str(fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "mistral"}, "mistral"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"),
        ({"num_key_value_heads": 3}, "multiple"),
        ({"head_dim": 7}, "even"),
        ({"vocab_size": 0}, "positive"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadWeights, match=said):
        parse_config(PLAIN | fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "config.json is missing"),
        ("{", "cannot be read"),
        ("[]", "not a JSON object"),
        ("{}", "lacks the field"),
        (json.dumps(PLAIN | {"vocab_size": "many"}), "wrong type"),
        (json.dumps(PLAIN | {"mlp_bias": True}), "mlp_bias"),
        (json.dumps(PLAIN | {"rope_scaling": {"rope_type": "llama3"}}), "lacks the field 'factor'"),
    ],
)
def test_an_unusable_file_is_one_typed_error_with_its_path(
    tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(BadWeights, match=said) as caught:
        read_config(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_several_end_tokens(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PLAIN | {"eos_token_id": [3, 5]}))
    assert read_config(tmp_path).eos_token_ids == (3, 5)
