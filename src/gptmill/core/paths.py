"""All paths of the pipeline, relative to the project's root, which is the working folder of every stage."""

from pathlib import Path

from gptmill.core.errors import GptmillError

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
GRAPH = Path("dvc.yaml")

DATA_SETS = ("corpus", "spam", "instructions")
SOURCES = Path("data/sources")  # users' files, versioned by DVC: one folder per data set
RAW = Path("data/raw")

BASE_WEIGHTS, BASE_VOCABULARY = RAW / "base/model.safetensors", RAW / "base/encoder.json"  # when they are downloaded

CLEAN = Path("data/clean")
CLEAN_CORPUS = CLEAN / "corpus.txt"
CLEAN_SPAM = CLEAN / "spam.parquet"
CLEAN_INSTRUCTIONS = CLEAN / "instructions.jsonl"
QUARANTINE = Path("data/quarantine")

SPAM_SPLITS = Path("data/spam")
INSTRUCTION_SPLITS = Path("data/instructions")
TOKENS = Path("data/tokens")

TOKENIZER = Path("models/tokenizer")
BASE_MODEL = Path("models/base")
CLASSIFIER_MODEL = Path("models/classifier")
INSTRUCT_MODEL = Path("models/instruct")

METRICS = Path("metrics")
PLOTS = Path("plots")

REPORTS = Path("reports")
VALIDATION = REPORTS / "validation.json"
DATA_DOCS = REPORTS / "data_docs"
DATA_CARDS = REPORTS / "data"
RESPONSES = REPORTS / "responses.jsonl"
JUDGEMENTS = REPORTS / "judgements.jsonl"
BASE_SAMPLES = REPORTS / "base_samples.jsonl"  # prompts of the validation split, continued by the finished model
REPORT = REPORTS / "report.html"
# Written by commands, not by stages.
EXTENDED_REPORT = REPORTS / "report-extended.html"
AGREEMENT = REPORTS / "agreement.json"
PROMOTIONS = Path(".gptmill/promotion")  # the last decision about each model, <model>.json

CHECKPOINTS = Path(".gptmill/checkpoints")  # of unfinished trainings: not an output of any stage
PARTIAL_RESPONSES = Path(".gptmill/responses")  # finished batches of an unfinished generation
JUDGE_CACHE = Path(".gptmill/judgements")  # replies of LLM judges, which may have cost money

RUBRICS = Path("prompts")

# Runs and tools may remove these: nothing here can be a source of data.
OUTPUTS = (
    RAW, CLEAN, QUARANTINE, SPAM_SPLITS, INSTRUCTION_SPLITS, TOKENS, Path("models"), METRICS, PLOTS, REPORTS,
    Path(".gptmill"), Path(".dvc"),
)  # fmt: skip


def raw_folder(name: str) -> Path:
    """Folder of a downloaded data set. No parameter changes it, as DVC removes it before each download."""
    return RAW / name


def raw_file(name: str, file: str) -> Path:
    """The file in that folder; `file` is `data.<name>.file`."""
    return raw_folder(name) / file


def source_record(name: str) -> Path:
    """The record of where the data set came from."""
    return RAW / f"{name}.source.json"


def enclosing_project() -> Path | None:
    """The project's root, when the working folder is a subfolder of it; else None."""
    here = Path.cwd()
    roots = [folder for folder in (here, *here.parents) if (folder / GRAPH).is_file() and (folder / PARAMS).is_file()]
    return roots[0] if roots and roots[0] != here else None


def require_root() -> None:
    """Raises `GptmillError` in a subfolder of a project, where paths relative to the root would be wrong."""
    if root := enclosing_project():
        raise GptmillError(f"this folder is not the project's root, {root}")
