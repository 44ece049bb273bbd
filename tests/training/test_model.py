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


@pytest.fixture
def adapted(tmp_path):
    """A model's folder with an adapter beside it."""
    from peft import LoraConfig, get_peft_model

    net = load(str(tiny_model(tmp_path / "model"))).model
    get_peft_model(net, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    return tmp_path


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("content", [b"", b"junk"])
def test_a_broken_adapter_is_said(adapted, file, content):
    (adapted / "adapter" / file).write_bytes(content)
    with pytest.raises(UsageError, match=r"(?s)cannot put the adapter .* broken, or another model's"):
        load(str(adapted / "model"), adapter=adapted / "adapter")


def test_an_adapter_of_another_model_is_said(adapted):
    other = tiny_model(adapted / "other", hidden_size=32, intermediate_size=64)
    with pytest.raises(UsageError, match="another model's"):
        load(str(other), adapter=adapted / "adapter")


def test_an_adapter_without_weights_or_of_weights_that_are_no_numbers_is_said(adapted):
    from safetensors.torch import load_file, save_file

    file = adapted / "adapter" / "adapter_model.safetensors"
    save_file({name: value * float("nan") for name, value in load_file(file).items()}, file)
    with pytest.raises(UsageError, match="no finite numbers"):
        load(str(adapted / "model"), adapter=adapted / "adapter")
    file.unlink()
    with pytest.raises(UsageError, match=r"no adapter_model\.safetensors"):
        load(str(adapted / "model"), adapter=adapted / "adapter")


@pytest.mark.parametrize("broken", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_model_is_said(tmp_path, broken):
    (tiny_model(tmp_path) / broken).write_bytes(b"junk")
    with pytest.raises(UsageError, match="cannot load the model"):
        load(str(tmp_path))


def test_a_broken_gguf_file_is_said(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUFjunk")
    with pytest.raises(UsageError, match=r"cannot read .*m\.gguf"):
        load(str(tmp_path / "m.gguf"), cache=tmp_path)


def test_a_relative_folder_is_looked_for_beside_the_cycle_file_first(tmp_path, monkeypatch):
    tiny_model(tmp_path / "cycle" / "model")
    (tmp_path / "elsewhere" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load("model", beside=tmp_path / "cycle").name == "model"
    monkeypatch.chdir(tmp_path / "cycle")
    assert load("model", beside=tmp_path / "elsewhere" / "model").name == "model"


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
