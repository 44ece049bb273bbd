"""The losses are the ones of their papers, on the range of TRL that pyproject.toml names."""

from __future__ import annotations

import numpy as np
import pytest

from consensus.errors import UsageError
from tests.training.fits import quick, rows
from tests.training.tiny import tiny_model

torch = pytest.importorskip("torch")

from training import adapter  # noqa: E402
from training.hardware import hardware  # noqa: E402
from training.likelihood import log_probs, sharing  # noqa: E402
from training.loss import loss  # noqa: E402
from training.model import load  # noqa: E402
from training.tokens import tokenize  # noqa: E402
from training.trainer import SharedPrefixTrainer  # noqa: E402

BETA = 0.7
CHANCES = [1.0, 0.93, 0.5, 0.2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def value(folder, tmp_path_factory):
    """A function that gives our trainer's loss of one batch, and its z; the adapter is not the one it starts with."""

    def compute(*, share=True, chances=CHANCES, **settings):
        config = quick(beta=BETA, **settings)
        drawn = [row | {"p_chosen": p} for row, p in zip(rows(len(chances)), chances, strict=True)]
        loaded = load(str(folder))
        pairs = tokenize(drawn, loaded.tokenizer)
        meant = loss(config, drawn)
        args = adapter.arguments(config, meant, hardware(), tmp_path_factory.mktemp("run"), looks=False)
        reference = log_probs(loaded.model, pairs, share=False)
        with sharing(loaded.model):
            trainer = SharedPrefixTrainer(
                loaded,
                args=args,
                lora=adapter.lora(config),
                train_dataset=adapter.dataset(pairs, reference, meant.chances),
                eval_dataset=None,
                names=[row["pair_id"] for row in drawn],
                share=share,
            )
            with torch.random.fork_rng():
                torch.manual_seed(5)
                for name, weight in trainer.model.named_parameters():
                    if "lora_" in name:
                        torch.nn.init.normal_(weight, std=0.05)
            batch = trainer.data_collator([trainer.train_dataset[n] for n in range(len(drawn))])
            trainer.model.train()
            found = trainer.compute_loss(trainer.model, batch)
            gradient = torch.autograd.grad(found, [w for w in trainer.model.parameters() if w.requires_grad])
        policy = log_probs(trainer.model.eval(), pairs, share=False)
        gained = (policy - reference).astype(np.float64)
        return found.item(), BETA * (gained[:, 0] - gained[:, 1]), torch.cat([part.ravel() for part in gradient])

    return compute


def softplus(x):
    return np.logaddexp(0, x)


def test_soft_labels_have_the_closed_form(value):
    """p L(z) + (1 - p) L(-z), for chances on both sides of one half."""
    found, z, _ = value(loss="soft")
    p = np.array(CHANCES)
    assert np.abs(z).max() > 0.1
    assert found == pytest.approx(np.mean(p * softplus(-z) + (1 - p) * softplus(z)), abs=1e-5)
    assert found == pytest.approx(np.mean(softplus(-z) + (1 - p) * z), abs=1e-5)


def test_certain_soft_labels_are_trls_own_loss_bit_for_bit(value):
    soft, _, slope = value(loss="soft", chances=[1.0] * 4)
    plain, _, same = value(loss="dpo", chances=[1.0] * 4)
    assert soft == plain
    assert torch.equal(slope, same)


def test_cdpo_is_the_published_loss(value):
    """(1 - e) L(z) + e L(-z); TRL's own `label_smoothing` does nothing with `sigmoid`."""
    found, z, _ = value(loss="cdpo", noise=0.3, policy="hard")
    assert found == pytest.approx(np.mean(0.7 * softplus(-z) + 0.3 * softplus(z)), abs=1e-5)


def test_rdpo_is_the_published_loss(value):
    """((1 - e) L(z) - e L(-z)) / (1 - 2 e), Chowdhury et al. 2024, arXiv 2403.00409."""
    found, z, _ = value(loss="rdpo", noise=0.3, policy="hard")
    assert found == pytest.approx(np.mean((0.7 * softplus(-z) - 0.3 * softplus(z)) / 0.4), abs=1e-5)


@pytest.mark.parametrize("name", ["soft", "ipo", "apo_zero", "sppo_hard"])
def test_loss_and_gradient_are_the_same_with_prompts_shared_and_not(value, name):
    shared, _, slope = value(loss=name)
    plain, _, same = value(loss=name, share=False)
    assert shared == pytest.approx(plain, rel=1e-5)
    torch.testing.assert_close(slope, same, rtol=1e-3, atol=1e-4 * float(same.abs().max()))


def test_hinge_passes_through(value):
    found, z, _ = value(loss="hinge")
    assert found == pytest.approx(np.mean(np.maximum(0, 1 - z)), abs=1e-5)


def test_the_noise_of_exo_is_the_one_given():
    paper = loss(quick(loss="exo_pair"), rows(2))
    assert (paper.smoothing, loss(quick(loss="exo_pair", noise=0.2), rows(2)).smoothing) == (1e-3, 0.2)


def test_a_sorted_loss_refuses_pairs_that_are_not_certain():
    settings = quick(loss="aot", policy="hard").model_copy(update={"policy": "soft"})
    with pytest.raises(UsageError, match="sorts"):
        loss(settings, rows(2, p_chosen=0.8))


def test_a_chance_beyond_one_is_refused_by_name():
    with pytest.raises(UsageError, match="pair-0"):
        loss(quick(loss="soft"), rows(1, p_chosen=1.2))
