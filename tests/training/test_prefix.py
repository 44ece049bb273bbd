"""Computing a prompt once for both completions is the same model: values, gradients, and a refusal where it is not."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.training.tiny import tiny_model

torch = pytest.importorskip("torch")

from training.likelihood import collate, log_probs, sharing, why_not_share  # noqa: E402
from training.model import load  # noqa: E402
from training.prefix import pack, score_pairs  # noqa: E402
from training.tokens import Tokens  # noqa: E402

ids = st.lists(st.integers(3, 9), min_size=1, max_size=12)
pairs = st.lists(st.builds(Tokens, ids, ids, ids), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(str(tiny_model(tmp_path_factory.mktemp("tiny")))).model


def both_ways(model, drawn):
    """Log-probabilities and gradients, plain and shared."""
    batch = collate(drawn)
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    weights = torch.linspace(0.5, 2, labels[:, 1:].numel()).view(labels[:, 1:].shape)
    asked = labels[:, 1:] != -100
    learned = [value for name, value in model.named_parameters() if "layers" in name]

    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    plain = logits[:, :-1].log_softmax(-1).gather(2, batch["input_ids"][:, 1:, None])[..., 0][asked]
    with sharing(model):
        shared = score_pairs(model, batch["input_ids"], batch["attention_mask"], labels)[0].log_probs
        ours = torch.autograd.grad((shared * weights[asked]).sum(), learned)
    theirs = torch.autograd.grad((plain * weights[asked]).sum(), learned)
    return plain, shared, theirs, ours


@given(pairs)
@example([Tokens([3], [3], [3, 3])])  # nobody attends to anything else: the queries' gradient is zero
@settings(max_examples=30)
def test_values_and_gradients_are_those_of_the_plain_way(model, drawn):
    """Small vocabulary: completions often begin alike, are equal, or one is the beginning of the other."""
    plain, shared, theirs, ours = both_ways(model, drawn)
    torch.testing.assert_close(shared, plain, rtol=1e-5, atol=2e-5)
    largest = max(
        float(one.abs().max()) for one in theirs
    )  # a matrix whose true gradient is zero has rounding errors only
    for one, other in zip(theirs, ours, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3 * float(one.abs().max()) + 1e-5 * largest)


@given(pairs)
def test_a_packed_batch_holds_every_token_once_and_the_trunk_for_both(drawn):
    batch = collate(drawn)
    packed = pack(batch["input_ids"], batch["attention_mask"])
    real = batch["attention_mask"].bool()
    assert torch.equal(packed.input_ids[0, packed.places][real], batch["input_ids"][real])
    columns = torch.arange(real.shape[1]).expand_as(real)
    assert torch.equal(packed.position_ids[0, packed.places][real], columns[real])
    assert packed.input_ids.shape[1] == len(packed.places[real].unique())
    trunks = sum(span.trunk for span in packed.spans)
    assert packed.input_ids.shape[1] == int(real.sum()) - trunks


def test_checkpointed_layers_know_the_pairs_in_the_backward_pass_too(model):
    drawn = [Tokens([3] * 9, [4, 5], [6, 7, 8]), Tokens([5, 4], [3] * 4, [9])]
    usual = both_ways(model, drawn)[3]
    model.train().activation_checkpointing_enable()
    try:
        again = both_ways(model, drawn)[3]
    finally:
        model.activation_checkpointing_disable()
        model.eval()
    for one, other in zip(usual, again, strict=True):
        torch.testing.assert_close(other, one)


def test_a_moving_window_moves_over_trunk_and_branch(tmp_path):
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = MistralForCausalLM(
        MistralConfig(vocab_size=40, num_key_value_heads=2, sliding_window=5, initializer_range=0.3, **sizes)
    ).eval()
    plain, shared, _, _ = both_ways(
        model, [Tokens([3, 4, 5, 6, 7, 8, 9], [4] * 8, [5, 6, 7]), Tokens([3], [4], [5] * 7)]
    )
    torch.testing.assert_close(shared, plain, rtol=1e-5, atol=2e-5)


def test_a_model_that_scales_its_logits_is_refused_and_the_plain_way_used(tmp_path):
    """The head multiplies by its weights and nothing else; Granite divides the logits after that."""
    from transformers import GraniteConfig, GraniteForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = GraniteForCausalLM(
        GraniteConfig(vocab_size=40, num_key_value_heads=2, logits_scaling=4.0, initializer_range=0.3, **sizes)
    ).eval()
    drawn = [Tokens([3, 4, 5], [6, 7, 8], [9, 10])]
    assert "would differ" in why_not_share(model, drawn)
    assert log_probs(model, drawn, share=False).shape == (1, 2)


def test_a_recurrent_model_is_refused():
    """State that runs from token to token cannot run past the other pairs in the row."""
    from transformers import MambaConfig, MambaForCausalLM

    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, state_size=4)).eval()
    assert why_not_share(model, [Tokens([3, 4, 5], [6, 7, 8], [9, 10]), Tokens([3], [4], [5])]) is not None


def test_a_model_that_shares_is_as_before_afterwards(model):
    before = model.config._attn_implementation
    assert why_not_share(model, [Tokens([3, 4], [5], [6])]) is None
    assert model.config._attn_implementation == before
