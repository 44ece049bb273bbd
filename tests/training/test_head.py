"""The head's scores are those of a softmax over all logits, and so are its gradients."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from training import head  # noqa: E402


@given(st.integers(1, 40), st.integers(2, 60), st.integers(0, 10_000), st.floats(0.1, 4))
@settings(max_examples=40)
def test_scores_and_gradients_are_those_of_the_full_softmax(n, vocabulary, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    hidden = (scale * torch.randn(n, 8, generator=generator)).double().requires_grad_()
    weight = torch.randn(vocabulary, 8, generator=generator).double()
    targets = torch.randint(vocabulary, (n,), generator=generator)
    upstream = torch.randn(n, generator=generator).double()
    logits = hidden @ weight.T
    log_p = logits.log_softmax(1)
    said = log_p.gather(1, targets[:, None])[:, 0]
    (slopes,) = torch.autograd.grad((said * upstream).sum(), hidden)

    found = head.score(hidden, weight, targets)
    (ours,) = torch.autograd.grad((found.log_probs * upstream).sum(), hidden)
    blind = head.score(hidden.detach(), weight, targets)

    for scores in (found, blind):
        torch.testing.assert_close(scores.log_probs.double(), said, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(scores.entropy.double(), -(log_p.exp() * log_p).sum(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(scores.mean_logits.double(), logits.mean(1), rtol=1e-4, atol=1e-4)
        assert torch.equal(scores.is_top1, logits.argmax(1) == targets)
    torch.testing.assert_close(ours, slopes, rtol=1e-4, atol=1e-5)


def test_tiles_change_nothing(monkeypatch):
    hidden, weight, targets = torch.randn(11, 8), torch.randn(50, 8), torch.randint(50, (11,))
    whole = head.score(hidden, weight, targets)
    monkeypatch.setattr(head, "TILE", 100)
    torch.testing.assert_close(head.score(hidden, weight, targets).log_probs, whole.log_probs)
