"""Models are found, converted once, and known by their weights."""

from __future__ import annotations

import json

import pytest

from consensus.errors import UsageError
from tests.training.tiny import tiny_model
from training.model import SMALL, _shipped, cache_folder, load

torch = pytest.importorskip("torch")


def logits(loaded, text="What is 2 + 2?"):
    with torch.no_grad():
        return loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits


def test_a_folder_is_loaded_ready_to_be_asked(tmp_path):
    loaded = load(str(tiny_model(tmp_path)))
    assert not loaded.model.training
    assert loaded.tokenizer.pad_token is not None
    said = loaded.tokenizer.apply_chat_template([{"role": "user", "content": "Grüße"}], tokenize=False)
    assert loaded.tokenizer.decode(loaded.tokenizer(said).input_ids) == said


def test_the_fingerprint_is_of_weights_tokenizer_and_template_and_not_of_the_place(tmp_path):
    first, same, other = (load(str(tiny_model(tmp_path / name, seed=name == "c"))) for name in "abc")
    assert first.fingerprint == same.fingerprint != other.fingerprint
    template = tmp_path / "b" / "chat_template.jinja"
    template.write_text(template.read_text() + "\n{# changed #}")
    assert load(str(tmp_path / "b")).fingerprint != first.fingerprint


def test_an_adapter_changes_the_fingerprint_and_not_the_bases(tmp_path):
    from peft import LoraConfig, get_peft_model

    plain = load(str(tiny_model(tmp_path / "model")))
    adapted = get_peft_model(load(str(tmp_path / "model")).model, LoraConfig(r=2, target_modules="all-linear"))
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = load(str(tmp_path / "model"), adapter=tmp_path / "adapter")
    assert loaded.base == plain.fingerprint == plain.base
    assert loaded.fingerprint != plain.fingerprint
    assert torch.equal(logits(loaded), logits(plain))  # a new adapter adds nothing yet


@pytest.mark.parametrize(
    ("model", "said"),
    [("/no/such/model.gguf", "there is no file"), ("./nowhere/at-all", "a hub's name, a folder")],
)
def test_a_model_that_is_not_there_is_said(monkeypatch, model, said):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=said):
        load(model)


def test_a_folder_without_an_adapter_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"no adapter_config\.json"):
        load(str(tiny_model(tmp_path / "model")), adapter=tmp_path)


def test_a_base_model_without_chat_template_is_refused(tmp_path):
    (tiny_model(tmp_path) / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="instruct version"):
        load(str(tmp_path))


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("CONSENSUS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.slow
def test_the_small_models_weights_are_read_once_from_the_converted_file():
    """The cache is the user's own, so only the machine's first test pays for the conversion."""
    assert _shipped().suffix == ".gguf"
    loaded = load(SMALL)
    folder = loaded.model.config._name_or_path
    assert "quantization_config" not in json.loads((cache_folder() / "models" / folder / "config.json").read_text())
    asked = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France? One word."}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    said = loaded.model.generate(**asked, max_new_tokens=8, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(said[0, asked.input_ids.shape[1] :])
