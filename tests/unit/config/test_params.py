import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML
from typer.testing import CliRunner

from gptmill import config, stages
from gptmill.cli import app
from gptmill.config import missing_keys, profiles, schema
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.text import prompts
from gptmill.text.tokenizer import count_pieces

JUDGE = {"model": "llama3", "base_url": "http://host/v1", "api_key_env": "", "input_price": 0.0, "output_price": 0.0}
PROFILES = sorted(path.stem for path in (Path(__file__).parents[3] / "profiles").glob("*.yaml"))


@pytest.fixture
def changed(project):
    """`changed({"classifier.epochs": 3})` writes params.yaml with that change; a value of ... removes the key."""

    def write(changes: dict) -> Path:
        yaml = YAML(typ="safe")
        values = yaml.load(paths.PARAMS.read_text())
        for key, value in changes.items():
            *sections, name = key.split(".")
            section = values
            for part in sections:
                section = section[part]
            if value is ...:
                del section[name]
            else:
                section[name] = value
        yaml.dump(values, paths.PARAMS)
        return paths.PARAMS

    return write


def problems(path: Path = paths.PARAMS) -> str:
    with pytest.raises(GptmillError) as caught:
        config.load(path)
    return str(caught.value)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_gives_a_whole_file_with_its_values_that_explains_each_line(project, name):
    paths.PARAMS.write_text(profiles.text(name))
    assert config.load() == profiles.load(name)
    keys = [
        line for line in paths.PARAMS.read_text().splitlines() if re.match(r" *(- )?\w+: ", line) and "  # " not in line
    ]
    lines = paths.PARAMS.read_text().splitlines()
    assert [line for line in keys if not lines[lines.index(line) - 1].lstrip().startswith("# ")] == []


def test_a_profile_is_an_overlay_that_names_only_what_differs():
    def leaves(values: dict, prefix: str = "") -> dict:
        found = {}
        for key, value in values.items():
            found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return found

    defaults = leaves(schema.Params().model_dump())
    for name in PROFILES:
        overlay = leaves(
            YAML(typ="safe").load((Path(__file__).parents[3] / "profiles" / f"{name}.yaml").read_text()) or {}
        )
        assert {key: value for key, value in overlay.items() if defaults[key] == value} == {}


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_but_shakespeare_has_room_for_an_answer(name):
    values = profiles.load(name)
    prompt = prompts.TEMPLATES[values.instruct.prompt_style].prompt("", "")
    least = len(prompt.encode()) if values.tokenizer.vocab_size == 257 else count_pieces(prompt)  # tokens of any prompt
    assert (least < values.instruct.max_length) == (name != "shakespeare")


def test_the_committed_params_are_written_from_the_schema(root):
    assert (root / "params.yaml").read_text() == profiles.text("sample", root)


@pytest.mark.parametrize(("key", "value", "said"), [
    ("classifier.epochz", 3, ["classifier.epochz: unknown key", "did you mean epochs?"]),
    ("classifier.qqq", 3, ["classifier.qqq: unknown key", "known here: ", "epochs", "max_length"]),
    ("modell", {}, ["modell: unknown key", "did you mean model?"]),
    ("classifier.epochs", -1, ["classifier.epochs: -1", "greater than or equal to 1", "passes over the training split"]),
    ("classifier.epochs", "3", ["classifier.epochs: '3'", "valid integer"]),
    ("classifier.epochs", True, ["classifier.epochs: True", "valid integer"]),
    ("classifier.epochs", 2.5, ["classifier.epochs: 2.5", "valid integer"]),
    ("classifier.epochs", None, ["classifier.epochs: None", "valid integer"]),
    ("classifier.epochs", [3], ["classifier.epochs: [3]", "valid integer"]),
    ("model", 7, ["model: 7 is not a section", "n_layers", "d_model"]),
    ("model", None, ["model: None is not a section", "n_layers"]),
    ("data.sample", [1], ["data.sample: [1] is not a section", "messages"]),
    ("data.source", "kaggle", ["data.source: 'kaggle'", "'sample', 'book' or 'custom'"]),
    ("model.dropout", 1.0, ["model.dropout: 1.0", "less than 1"]),
    ("model.qkv_bias", "yes", ["model.qkv_bias: 'yes'", "valid boolean"]),
    ("base.learning_rate", 0.0, ["base.learning_rate: 0.0", "greater than 0"]),
    ("base.learning_rate", float("nan"), ["base.learning_rate: nan"]),
    ("base.init", "gpt3", ["base.init: 'gpt3'", "'scratch'", "'gpt2-124M'"]),
    ("tokenizer.vocab_size", 256, ["tokenizer.vocab_size: 256", "greater than or equal to 257"]),
    ("seed", -1, ["seed: -1", "greater than or equal to 0"]),
    ("seed", 2**31, ["seed: 2147483648", "less than"]),
    ("seed", ..., ["seed: missing", "of all random numbers"]),
    ("judge", ..., ["judge: missing"]),
    ("judge.rubric", 7, ["judge.rubric: 7", "valid string"]),
    ("judge.models", [], ["judge.models: []", "at least 1 item", "judges on OpenAI-compatible servers; the score is"]),
    ("judge.models", [7], ["judge.models.0: 7 is not a section; allowed are the keys model, base_url"]),
    ("judge.models", [JUDGE | {"modell": "x"}], ["judge.models.0.modell: unknown key; did you mean model?"]),
    ("judge.models", [JUDGE, JUDGE | {"model": 7}], ["judge.models.1.model: 7", "the model's name on the server"]),
    ("judge.models", [JUDGE, JUDGE], ["models (llama3, llama3) must name each judge once"]),
    ("judge.models", [JUDGE | {"input_price": -1.0}], ["judge.models.0.input_price: -1.0", "greater than or equal to 0"]),
    *(("judge.models", [JUDGE | {"base_url": url}], ["judge.models.0.base_url: ", said]) for url, said in [
        ("ftp://host/v1", "not an http or https address"), ("/v1", "not an http or https address"),
        ("http:///v1", "not an http or https address"),
        ("http://me:pass@host/v1", "a key belongs in the environment"), ("http://host/v1?key=pass", "a key belongs in the environment"),
        ("http://host:99999/v1", "is not a valid address: Port out of range"),
    ]),
])  # fmt: skip
def test_a_bad_value_names_its_key_the_value_and_what_is_allowed(changed, key, value, said):
    text = problems(changed({key: value}))
    assert text.startswith("params.yaml has 1 problem:\n")
    assert [part for part in said if part not in text] == [] and "pass@" not in text and "key=pass" not in text


CUSTOM = {
    "data.source": "custom",
    "data.spam.urls": ["mine.csv"],
    "data.spam.file": "mine.csv",
    "data.spam.columns": [],
}


def test_ones_own_data_are_params(changed):
    four = {
        "data.spam.text": "body",
        "data.spam.label": "topic",
        "data.spam.labels": ["a", "b", "c", "d"],
        "data.spam.quotes": True,
    }
    assert config.load(changed(CUSTOM | four)).data.spam.columns_by_field() == {"label": "topic", "text": "body"}


@pytest.mark.parametrize(("changes", "said"), [
    ({"data.spam.file": "mine.csv"}, "data.spam.file must be spam.tsv as data.source is sample"),
    ({"data.source": "book", "data.instructions.file": "x.json"}, "data.instructions.file must be instructions.json as data.source"),
    ({"data.spam.labels": ["spam", "ham"]}, "data.spam.labels must be [ham, spam] as data.source is sample"),
    (CUSTOM | {"data.corpus.file": "x.txt"}, "data.corpus.file must be corpus.txt as data.corpus.urls is empty, so the sample stands in"),
    ({"data.source": "custom"}, "data.source custom needs data.corpus.urls, data.spam.urls or data.instructions.urls"),
    ({"data.corpus.urls": ["a.txt"]}, "data.corpus.urls is for data.source custom, and data.source is sample"),
    (CUSTOM | {"data.spam.file": "../mine.csv"}, "file ('../mine.csv') must be a name without folders that ends in .txt"),
    (CUSTOM | {"data.spam.file": "mine.xlsx"}, "file ('mine.xlsx') must be a name without folders"),
    (CUSTOM | {"data.spam.file": "spam.source.json"}, "file ('spam.source.json') must be a name"),
    (CUSTOM | {"data.spam.file": "mine.txt"}, "file (mine.txt) must be one of csv, tsv, jsonl, json, parquet: a record has columns"),
    (CUSTOM | {"data.spam.labels": ["a", "a"]}, "labels (a, a) must name each class once"),
    (CUSTOM | {"data.spam.sha256": "ABC"}, "sha256 must be 64 hexadecimal digits in lower case, or empty"),
    (CUSTOM | {"data.spam.label": "text"}, "label and text must be different columns"),
    (CUSTOM | {"data.spam.columns": ["x", "text"]}, "label (label) must be one of columns: x, text"),
    (CUSTOM | {"data.spam.columns": ["x", "x"]}, "columns (x, x) must name each column once"),
    (CUSTOM | {"data.spam.urls": ["ftp://me:secret@host/a.csv?key=hidden"]}, "ftp://host/a.csv?key=… is not supported: use an http"),
    (CUSTOM | {"data.spam.urls": ["http:///a.csv"]}, "http:///a.csv names no server"),
    (CUSTOM | {"data.spam.urls": [""]}, "an address must not be empty"),
    (CUSTOM | {"data.spam.urls": "http://me:secret@host/a.csv"}, "data.spam.urls: 'http://host/a.csv' is not allowed"),
    (CUSTOM | {"data.corpus.urls": ["a"], "data.instructions.urls": ["b"], "data.corpus.file": "Mine.csv"}, "must be different names"),
    ({"model.n_heads": 5}, "d_model (32) must be a multiple of n_heads (5)"),
    ({"base.min_learning_rate": 0.5}, "base: min_learning_rate (0.5) must not exceed learning_rate ("),
    ({"split.spam.train": 0.9}, "train (0.9) and validation (0.1) must be above 0 and leave something for the test split"),
    ({"split.instructions.validation": 0.0}, "train (0.85) and validation (0.0) must be above 0"),
    ({"classifier.max_length": 129}, "classifier.max_length (129) must not exceed model.context_length (128)"),
    ({"instruct.max_length": 129}, "instruct.max_length (129) must not exceed model.context_length (128)"),
    ({"data.expectations.min_class_share": 0.6}, "data.expectations.min_class_share (0.6) is more than 2 classes can have, all of them"),
    ({"split.spam.method": "book", "split.spam.balance": "none"}, "undersamples: balance (none) must be undersample"),
    ({"split.spam.method": "book", "data.spam.labels": ["a", "b", "c"]}, "is for two classes; data.spam.labels has 3: use groups"),
    ({"data.spam.labels": ["a", "a"]}, "labels (a, a) must name each class once"),
    ({"tokenizer.ranks": "gpt2"}, "vocab_size must be 50257 when ranks is gpt2"),
    ({"base.init": "gpt2-124M"}, "base.init gpt2-124M needs, under model: n_layers: 12, n_heads: 12, d_model: 768, context_length: 1024"),
    ({"base.init": "gpt2-124M"}, "needs tokenizer.ranks: gpt2 and tokenizer.vocab_size: 50257"),
])  # fmt: skip
def test_values_that_do_not_fit_together_are_named(changed, changes, said):
    text = problems(changed(changes))
    assert said in text and "secret" not in text and "hidden" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"model.n_layers": 100_000},
            "a model of 100,000 layers, width 32, .* would take 5.1 GB for the weights and 20.3 GB to train",
        ),
        ({"model.d_model": 1 << 30}, "would take more than 1,000 PB for the weights"),
        ({"model.d_model": 10**30}, "width above 10.15, .* would take more than 1,000 PB"),
        ({"model.context_length": 1 << 50}, "would take 144 PB for the weights"),
        (
            {"generate.max_new_tokens": 100_000_000},
            "max_new_tokens is 100,000,000: it must be at most 1,000,000; .* would take .* memory",
        ),
    ],
)
def test_sizes_that_no_machine_has_are_told_with_their_memory(changed, changes, said):
    assert re.search(said, problems(changed(changes)))


def test_the_memory_of_a_model_is_compared_with_this_machines_before_work_begins(changed, monkeypatch):
    values = config.load(changed({"model.n_layers": 1000, "model.d_model": 1024}))  # another machine may have it
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=24 * 10**9))
    said = "takes 50.4 GB for the weights alone, 202 GB to train; this machine has 24.0 GB of memory"
    with pytest.raises(GptmillError, match=said):
        CliRunner().invoke(app, ["params", "check"], catch_exceptions=False)
    monkeypatch.setattr("gptmill.text.tokenizer.Tokenizer.load", lambda folder: SimpleNamespace(vocab_size=257))
    monkeypatch.setattr("gptmill.text.token_files.read", lambda folder, split: [])
    with pytest.raises(GptmillError, match=said):
        stages.run("pretrain", values)


def test_all_problems_are_told_at_once(changed):
    text = problems(changed({"classifier.epochs": 0, "instruct.epochz": 1, "seed": "x"}))
    assert text.startswith("params.yaml has 3 problems:\n")
    assert len(text.splitlines()) == 4


def test_a_key_that_stands_twice_is_an_error(project):
    paths.PARAMS.write_text(paths.PARAMS.read_text() + "\nseed: 5\n")
    assert re.search(r"params.yaml line \d+ is not readable YAML: .*duplicate key \"seed\"", problems())


@pytest.mark.parametrize("text", ["", "# nothing\n", "7\n", "- seed\n"])
def test_a_file_without_sections_is_an_error_that_says_what_belongs_there(project, text):
    paths.PARAMS.write_text(text)
    assert re.search(r"is not a section; allowed are the keys seed, data, .*compute", problems())


@pytest.mark.parametrize(
    "content", [b"seed: [1\n", b"seed: 1\n\tdata: 2\n", b"a: b: c\n", b"seed: \x00\n", b"a: &b *c\n"]
)
def test_what_is_no_yaml_is_one_error(project, content):
    paths.PARAMS.write_bytes(content)
    assert "is not readable YAML" in problems()


@pytest.mark.parametrize(("content", "said"), [
    (b"\xff\xfe\x00", "it is not UTF-8, byte 0 is 0xff"),
    (b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 30)), "aliases"),
    (b"a: &a {x: 1}\n" + b"- *a\n" * 3, "is not readable YAML"),
    (b"seed: &a [*a]\n", "the alias *a stands within what it refers to"),
    (b"seed: " + b"[" * 100_000, "nested more than 50 levels deep"),
    (b"".join(b" " * i + b"a:\n" for i in range(400)), "nested more than 50 levels deep"),
    (b"- a\n" * 100_000, "more than 50,000 values"),
    (b"seed: 1 # " + b"#" * 2_000_000, "has 2,000,010 bytes, more than"),
    (b"seed: " + b"9" * 5000, "a number of 5,000 digits"),
    (b"seed: 0x" + b"f" * 5000, "a number of 5,002 digits"),
    (b"seed: 2024-13-45", "is not readable YAML: month must be in 1..12"),
], ids=lambda value: "" if isinstance(value, bytes) else value[:30])  # fmt: skip
def test_what_would_take_too_long_or_can_not_be_read_is_one_error(project, content, said):
    """In `gptmill params check`, which `make` runs first."""
    paths.PARAMS.write_bytes(content)
    started = time.process_time()
    text = problems()
    assert text.startswith("params.yaml") and said in text and "\n" not in text
    assert time.process_time() - started < 20  # seconds, on a busy machine: a bomb takes hours


def test_aliases_within_reason_are_allowed(project):
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("seed: 123", "seed: &seed 123") + "extra: *seed\n")
    assert "extra: unknown key" in problems()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_pipe_or_a_device_is_refused(project, make):
    paths.PARAMS.unlink()
    make(paths.PARAMS)
    assert problems() == "params.yaml is a pipe, a socket or a device: a regular file is expected"
    with pytest.raises(GptmillError, match="a regular file is expected"):
        profiles.use("sample")


def test_a_missing_file_says_how_to_get_it_back(project):
    assert "gptmill params use sample" in problems(Path("nowhere.yaml"))


def test_numbers_are_read_as_dvc_reads_them(project):
    text, count = re.subn(r"(base:.*?\n  learning_rate: )\S+", r"\g<1>2e-3", paths.PARAMS.read_text(), flags=re.DOTALL)
    assert count == 1
    paths.PARAMS.write_text(text)
    assert config.load().base.learning_rate == 0.002


def test_params_cannot_be_changed_after_they_were_read(project):
    values = config.load()
    with pytest.raises(ValidationError, match="frozen"):
        values.seed = 5
    with pytest.raises(ValidationError, match="frozen"):
        values.model.n_layers = 5


def test_describe_has_every_key_of_the_file_with_its_value_and_what_it_means(project):
    def leaves(values: dict, prefix: str = "") -> dict:
        found = {}
        for key, value in values.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                value = {str(place): item for place, item in enumerate(value)}
            found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return found

    described = list(config.describe(config.load()))
    assert {key: value for key, value, _ in described} == leaves(YAML(typ="safe").load(paths.PARAMS.read_text()))
    assert [key for key, _, description in described if not description] == []


def test_a_profile_replaces_another_profile(project):
    profiles.use("mini", force=True)
    assert "now has profile sample, the default" in profiles.use("sample")
    assert config.load() == schema.Params()
    assert "is profile sample already" in profiles.use("sample")


def test_a_profile_is_put_where_there_are_no_params(project):
    paths.PARAMS.unlink()
    profiles.use("mini")
    assert config.load() == profiles.load("mini")


def test_a_profile_replaces_changes_of_ones_own_only_by_force(changed):
    before = changed({"seed": 77}).read_bytes()
    with pytest.raises(GptmillError, match="has changes of your own.*--force"):
        profiles.use("sample")
    assert paths.PARAMS.read_bytes() == before
    profiles.use("sample", force=True)
    assert config.load() == schema.Params()


def test_a_hash_that_refresh_pinned_is_no_change_of_ones_own(project):
    profiles.use("mini", force=True)
    pinned = paths.PARAMS.read_text().replace('sha256: ""', f'sha256: "{"0" * 64}"', 1)
    paths.PARAMS.write_text(pinned)
    assert "is profile mini already" in profiles.use("mini") and paths.PARAMS.read_text() == pinned
    profiles.use("sample")
    assert config.load() == schema.Params()


@pytest.mark.parametrize("name", ["huge", "../params", ""])
def test_an_unknown_profile_names_those_that_there_are(project, name):
    with pytest.raises(GptmillError, match="unknown profile .*; profiles/ has book.*, mini, sample"):
        profiles.use(name)


def test_a_profile_that_is_not_in_order_replaces_nothing(project):
    Path("profiles/bad.yaml").write_text("seeds: 1\nmodel: {n_heads: 5}\n")
    before = paths.PARAMS.read_bytes()
    with pytest.raises(GptmillError, match="profiles/bad.yaml has 2 problems"):
        profiles.use("bad")
    assert paths.PARAMS.read_bytes() == before


@pytest.mark.parametrize(
    "lines",
    [
        "seed: .*",
        "    labels: .*",
        "  dropout: .*",
        "  (?:init|keep): .*",
        r"generate:\n(?:  .*\n)*",
        r"      api_key_env: .*",
    ],
)
def test_missing_keys_are_added_with_their_defaults_and_comments_and_nothing_else_changes(project, lines):
    profiles.use("sample", force=True)
    whole = paths.PARAMS.read_text().replace("  epochs: 6 ", "  epochs: 77")
    paths.PARAMS.write_text("# mine\n" + re.sub(rf"^{lines}\n?", "", whole, flags=re.MULTILINE) + "# also mine\n")
    told = problems()
    assert "missing; " in told and "`gptmill params complete` adds missing keys" in told
    added = list(missing_keys.complete())
    assert added and all(f"{line.partition(' ')[0]}: missing; " in told for line in added)
    assert config.load().instruct.epochs == 77
    now = paths.PARAMS.read_text()
    assert now.startswith("# mine\n") and now.endswith("# also mine\n")
    assert sorted(line for line in now.splitlines() if line) == sorted(
        ["# mine", "# also mine", *filter(None, whole.splitlines())]
    )


def test_keys_are_added_to_sections_on_one_line(changed):
    changed({"base.keep": ..., "judge": ...})
    list(missing_keys.complete())
    assert config.load() == profiles.load("mini")


def test_a_whole_file_is_complete(project):
    before = paths.PARAMS.read_bytes()
    assert list(missing_keys.complete()) == ["params.yaml is complete."]
    assert paths.PARAMS.read_bytes() == before


def test_what_is_wrong_otherwise_keeps_the_file_as_it_is(changed):
    before = changed({"seed": ..., "classifier.epochs": 0}).read_bytes()
    with pytest.raises(GptmillError, match="classifier.epochs: 0"):
        list(missing_keys.complete())
    assert paths.PARAMS.read_bytes() == before
