"""Log-probabilities of completions under a model, and a store of those of base models, which never change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.prefix import ATTENTION, score_pairs
from training.tokens import Tokens

TOKENS_AT_ONCE = 4096
KEPT_EVERY_S = 60.0


def collate(pairs: Sequence[Tokens], device: Any = None) -> dict[str, Any]:
    """A batch as TRL's collator makes it: chosen sequences, then rejected ones, padded on the right, shape [2 B, L]."""
    sides = [(pair.prompt, pair.chosen) for pair in pairs] + [(pair.prompt, pair.rejected) for pair in pairs]
    width = max(len(prompt) + len(side) for prompt, side in sides)
    ids, seen, asked = np.zeros((3, len(sides), width), dtype=np.int64)
    for n, (prompt, side) in enumerate(sides):
        end = len(prompt) + len(side)
        ids[n, :end], seen[n, :end], asked[n, len(prompt) : end] = prompt + side, 1, 1
    names = ("input_ids", "attention_mask", "completion_mask")
    return {name: torch.from_numpy(values).to(device) for name, values in zip(names, (ids, seen, asked), strict=True)}


def log_probs(net: Any, pairs: Sequence[Tokens], *, share: bool) -> Any:
    """Summed log-probability of each completion given its prompt, in nats, float32, shape [n, 2]: chosen, rejected.

    Args:
        net: a causal language model; an adapter counts as it is switched at the moment.
        share: compute each prompt once for both completions; see `sharing`.
    """
    found = np.full((len(pairs), 2), np.nan, dtype=np.float32)
    for rows in batches(pairs):
        found[rows] = _batch(net, [pairs[row] for row in rows], share=share)
    return found


def batches(pairs: Sequence[Tokens]) -> Iterator[list[int]]:
    """Rows of similar length together, the longest first, so that memory runs out at the beginning or never."""
    taken: list[int] = []
    for row in sorted(range(len(pairs)), key=lambda row: -pairs[row].length):
        if taken and (len(taken) + 1) * 2 * pairs[taken[0]].length > TOKENS_AT_ONCE:
            yield taken
            taken = []
        taken.append(row)
    if taken:
        yield taken


@torch.no_grad()  # type: ignore[untyped-decorator]
def _batch(net: Any, pairs: Sequence[Tokens], *, share: bool) -> Any:
    batch = collate(pairs, net.device)
    asked = batch["completion_mask"][:, 1:].bool()
    found = torch.zeros(asked.shape, device=net.device)
    if share:
        labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
        scores, _ = score_pairs(_causal(net), batch["input_ids"], batch["attention_mask"], labels)
        found[asked] = scores.log_probs
    else:
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
        said = logits[:, :-1][asked].float().log_softmax(-1)
        found[asked] = said.gather(1, batch["input_ids"][:, 1:][asked][:, None])[:, 0]
    return found.sum(1).reshape(2, -1).T.cpu().numpy()


def _causal(net: Any) -> Any:
    return net.get_base_model() if hasattr(net, "get_base_model") else net


@contextlib.contextmanager
def sharing(net: Any) -> Iterator[None]:
    """While it is open, the model's attention understands pairs that share a prompt; anything else it does as before.

    Raises:
        ValueError: the model's attention cannot be exchanged.
    """
    causal = _causal(net)
    before = causal.config._attn_implementation
    causal.set_attn_implementation(ATTENTION)
    if causal.config._attn_implementation != ATTENTION:
        raise ValueError("its attention cannot be exchanged")
    try:
        yield
    finally:
        causal.set_attn_implementation(before)


def why_not_share(net: Any, pairs: Sequence[Tokens]) -> str | None:
    """Why prompts cannot be shared on this model, or None: tried on the longest pairs, against the plain way.

    Models with a moving window, a recurrent state or attention of their own need not give the same numbers.
    """
    longest = sorted(pairs, key=lambda pair: -pair.length)[:1] + sorted(pairs, key=lambda pair: pair.length)[:1]
    if getattr(net.config.get_text_config(), "output_router_logits", False):
        return "its experts are balanced by the tokens of a batch, which sharing changes"
    plain = _batch(net, longest, share=False)
    try:
        with sharing(net):
            shared = _batch(net, longest, share=True)
    except Exception as error:  # noqa: BLE001 - whatever a foreign architecture does with what it does not know
        return f"it cannot: {error}"
    off = float(np.abs(shared - plain).max())
    allowed = (1e-4 if net.dtype == torch.float32 else 2e-2) * max(1.0, float(np.abs(plain).max()))
    return (
        None if off <= allowed else f"its log-probabilities would differ by {off:.2g} nats of {np.abs(plain).max():.3g}"
    )


class Kept:
    """Log-probabilities that were computed before, by model and tokens: of a file per model in the folder of caches."""

    def __init__(self, cache: Path, model: str) -> None:
        self.file = cache / "reference" / f"{model}.npz"
        self.known: dict[bytes, tuple[float, float]] = {}
        self._read()

    def complete(
        self, pairs: Sequence[Tokens], compute: Callable[[Sequence[Tokens]], Any], *, share_of: tuple[int, int] = (0, 1)
    ) -> int:
        """Compute and keep what is not known yet; how many. Of n processes the k-th does every n-th pair."""
        missing = {key: pair for pair in pairs if (key := _key(pair)) not in self.known}
        rank, world = share_of
        mine = sorted(missing.items(), key=lambda item: -item[1].length)[rank::world]
        kept = time.monotonic()
        for start in range(0, len(mine), 64):
            part = mine[start : start + 64]
            values = compute([pair for _, pair in part])
            self.known.update(zip((key for key, _ in part), map(tuple, values.tolist()), strict=True))
            if time.monotonic() - kept > KEPT_EVERY_S:
                self.keep()
                kept = time.monotonic()
        if mine:
            self.keep()
        return len(mine)

    def of(self, pairs: Sequence[Tokens]) -> Any:
        """Shape [n, 2], float32; every pair has to be known."""
        return np.array([self.known[_key(pair)] for pair in pairs], dtype=np.float32).reshape(-1, 2)

    def keep(self) -> None:
        """Add what is known here to the file, whole or not at all; what another process kept meanwhile stays."""
        from filelock import FileLock

        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock"):
            self._read()
            handle, part = tempfile.mkstemp(dir=self.file.parent, suffix=".part")
            with os.fdopen(handle, "wb") as out:
                keys = np.frombuffer(b"".join(self.known), dtype=np.uint8).reshape(-1, 16)
                np.savez(out, keys=keys, values=np.array(list(self.known.values()), dtype=np.float32))
            Path(part).replace(self.file)

    def _read(self) -> None:
        try:
            with np.load(self.file) as found:
                old = zip(map(bytes, found["keys"]), map(tuple, found["values"].tolist()), strict=True)
                self.known = dict(old) | self.known
        except (OSError, EOFError, zipfile.BadZipFile, ValueError, KeyError):
            return  # nothing there, or nothing that can be read: it is computed again


def _key(pair: Tokens) -> bytes:
    sides = (np.array(side, dtype=np.int64).tobytes() for side in (pair.prompt, pair.chosen, pair.rejected))
    sizes = f"{len(pair.prompt)} {len(pair.chosen)} {len(pair.rejected)} ".encode()
    return hashlib.sha256(sizes + b"".join(sides)).digest()[:16]
