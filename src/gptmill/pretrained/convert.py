"""`gptmill weights import`, `export` and `show`: foreign weights and their tokenizer to a model folder, and back."""

import shutil
from pathlib import Path

from gptmill.config.schema import GPT2_CONTEXT_LENGTH, GPT2_SIZES, GPT2_VOCAB_SIZE
from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.ingest import sources
from gptmill.model import hf_config
from gptmill.model.folder import ModelFolder, demand_fitting
from gptmill.model.gpt import GPTConfig
from gptmill.model.size import measure
from gptmill.pretrained import detect, export
from gptmill.text import prompts
from gptmill.text.tokenizer import TOKENIZER_FILES, UNSUPPORTED_FILES, Tokenizer

# GPT-2's sizes by their names on Hugging Face's hub.
_HUB = {"gpt2": "gpt2-124M", "gpt2-medium": "gpt2-355M", "gpt2-large": "gpt2-774M", "gpt2-xl": "gpt2-1558M"}


def import_weights(source: str, to: Path, n_heads: int | None = None) -> str:
    """Make a model folder of a folder, a file or a published GPT-2's name; returns what was detected, for people.

    Raises `GptmillError` when it is not a whole GPT-2, or `to` exists; nothing is written then.
    """
    export.refuse_existing(to)
    checkpoint = _detect(source, n_heads)
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    tokenizer, own_files, note = _tokenizer(folder, checkpoint.config)
    end_of_text = tokenizer.end_of_text if tokenizer else checkpoint.settings.get("eos_token_id")
    with files.atomic(to) as tmp:
        tmp.mkdir()
        checkpoint.write(tmp, end_of_text)
        if tokenizer and "tokenizer.json" not in own_files:
            tokenizer.save(tmp, checkpoint.config.context_length)
        for name in own_files:
            shutil.copyfile(folder / name, tmp / name)
        if checkpoint.path.is_dir() and (folder / prompts.STYLE_FILE).exists():
            prompts.save_template(tmp, prompts.load_template(folder))
    return f"{checkpoint.describe()}\n  tokenizer   {note}\nwritten to {to}"


def export_weights(folder: Path, to: Path, form: str) -> str:
    """Write a model folder as a Hugging Face folder or as the book's `.pth`; returns what was written, for people."""
    export.refuse_existing(to)
    if form == "huggingface":
        export.to_huggingface(folder, to)
        return f"{to}: a Hugging Face folder, for transformers, vLLM or llama.cpp's convert_hf_to_gguf.py"
    model = ModelFolder(folder).load_gpt()
    export.to_book(model, to)
    config = model.config
    return (
        f'{to}: a state dict for the book\'s GPTModel with {{"vocab_size": {config.vocab_size}, '
        f'"context_length": {config.context_length}, "emb_dim": {config.d_model}, "n_heads": {config.n_heads}, '
        f'"n_layers": {config.n_layers}, "drop_rate": {config.dropout}, "qkv_bias": {config.qkv_bias}}}'
    )


def show_model(name: str) -> str:
    """Sizes and memory of a model folder or of a published GPT-2, for people."""
    size = gpt2_size(name)
    if size and not Path(name).exists():
        config = gpt2_config(size)
    else:
        config, _ = files.read_snapshot(Path(name), lambda folder: hf_config.read(folder / hf_config.NAME))
    sizes = measure(config)
    rows = {
        "layers": f"{config.n_layers}",
        "heads": f"{config.n_heads}, each {config.d_model // config.n_heads} wide",
        "width": f"{config.d_model}",
        "vocabulary": f"{config.vocab_size:,}",
        "context": f"{config.context_length:,} tokens",
        "output": "tied to the token embedding" if config.tie_weights else "a matrix of its own",
        "qkv bias": "yes" if config.qkv_bias else "no",
        "parameters": f"{sizes.parameters:,} ({sizes.embeddings:,} of them in the token and position tables)",
        "weights": f"{_megabytes(sizes.weights)} in float32, {_megabytes(sizes.weights / 2)} in bf16",
        "training": f"{_megabytes(sizes.training)} for weights, gradients and AdamW's moments, without activations",
        "decoding": f"{_megabytes(sizes.cache_per_token * config.context_length)} of KV cache per full context",
    }
    return "\n".join([f"{name}: {detect.size_name(config)}", *(f"  {key:<11} {value}" for key, value in rows.items())])


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def gpt2_size(name: str) -> str | None:
    """The size of a published GPT-2 by its name, if it is one: gpt2, openai-community/gpt2-medium, gpt2-355M."""
    short = name.removeprefix("openai-community/")
    size = _HUB.get(short, short)
    return size if size in GPT2_SIZES else None


def gpt2_config(size: str) -> GPTConfig:
    layers, heads, width = GPT2_SIZES[size]
    return GPTConfig(GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH, layers, heads, width, dropout=0.1)


def _detect(source: str, n_heads: int | None) -> detect.CheckpointInfo:
    path, size = Path(source), gpt2_size(source)
    if size and not path.exists():
        return detect.detect_format(sources.fetch(sources.GPT2_WEIGHTS[size]), config=gpt2_config(size))
    if not path.exists() and not path.with_name(f"{path.name}.index").is_file():
        raise GptmillError(
            f"{source} is not a folder or file here, nor a model that gptmill downloads by name: {', '.join(_HUB)}, "
            f"{', '.join(GPT2_SIZES)}, each with or without openai-community/ before it"
        )
    return detect.detect_format(path, n_heads)


def _tokenizer(folder: Path, config: GPTConfig) -> tuple[Tokenizer | None, list[str], str]:
    """The tokenizer in the weights' folder, else GPT-2's for a vocabulary of its size; its files; a note for people.

    Raises `GptmillError` when the folder has one that gptmill can't represent: another one would be silently wrong.
    """
    own = [name for name in (*TOKENIZER_FILES, prompts.CHAT_TEMPLATE) if (folder / name).exists()]
    for name, merges in (("tokenizer.json", ""), ("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        if not (folder / name).exists():
            continue
        pairs = folder / merges if (folder / merges).is_file() else None
        try:
            if name == "vocab.json" and not pairs:
                raise GptmillError(f"{folder / name} has no {merges} next to it, so how it merges is not known")
            for file in own:
                files.refuse_special(folder / file)
            tokenizer = Tokenizer.from_gpt2_files(folder / name, pairs) if merges else Tokenizer.load(folder)
            demand_fitting(tokenizer, config, folder)
        except (GptmillError, ValueError) as error:
            raise GptmillError(
                f"{error}\nWeights alone can be imported from a folder without {', '.join(own) or name}"
            ) from None
        unused = config.vocab_size - tokenizer.vocab_size
        note = f"; {unused:,} ids of the model have no token and are never chosen" if unused else ""
        return tokenizer, own, f"{name} from the weights' folder{note}"
    if unsupported := [name for name in (*UNSUPPORTED_FILES, *own) if (folder / name).exists()]:
        raise GptmillError(
            f"{folder} has a tokenizer that gptmill can't represent, in {', '.join(unsupported)} without a tokenizer.json. "
            f"Weights alone can be imported from a folder without {'it' if len(unsupported) == 1 else 'them'}"
        )
    if config.vocab_size == GPT2_VOCAB_SIZE:
        try:
            return Tokenizer.from_gpt2_files(sources.fetch(sources.GPT2_VOCABULARY)), [], "GPT-2's"
        except GptmillError as error:
            why = str(error)
    else:
        why = f"none lies in the weights' folder, and a vocabulary of {config.vocab_size:,} is not GPT-2's"
    return None, [], f"none ({why}). Put its tokenizer.json into the folder before you generate or classify text"
