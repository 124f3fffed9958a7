"""generate_responses: answers of the instruct model, and of the base model, to the test split."""

from pathlib import Path

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.inference import responses, resumable
from gptmill.model.folder import ModelFolder
from gptmill.runtime import cache_key, device
from gptmill.text import prompts


def run(params: Params) -> None:
    runtime = device.setup(params.compute, params.seed)
    test = paths.INSTRUCTION_SPLITS / "test.jsonl"
    records = files.read_jsonl(test)
    template = prompts.load_template(paths.INSTRUCT_MODEL)
    sections = {"seed": params.seed, "generate": params.generate, **device.settings(params.compute)}
    sections["machine"] = runtime.description()
    models = {"": paths.INSTRUCT_MODEL} | ({"base_": paths.BASE_MODEL} if params.generate.compare_base else {})
    partial = paths.PARTIAL_RESPONSES / cache_key.of_stage("generate_responses", sections, [test, *models.values()])

    def answer(folder: Path, prompts: list[str]) -> list[responses.Answer]:
        model, tokenizer = ModelFolder(folder).load()
        finished = resumable.ResumableJsonl(partial / f"{folder.name}.jsonl")
        return responses.respond(model, tokenizer, template, prompts, params.generate, params.seed, runtime, finished)

    plain = [template.prompt(record["instruction"], record["input"]) for record in records]
    rows = [{"id": i, **record, "prompt": plain[i]} for i, record in enumerate(records)]
    for prefix, folder in models.items():
        # The base model has not learnt to write an answer's header: its prompt always ends with it.
        headed = [template.with_header(record["instruction"], record["input"]) for record in records]
        for row, one in zip(rows, answer(folder, headed if prefix else plain), strict=True):
            fields = {"response": one.response, "tokens": one.tokens, "stopped": one.finish_reason}
            row |= {f"{prefix}{name}": value for name, value in fields.items()}
    files.write_jsonl(paths.RESPONSES, rows)
    files.remove_folder(partial.parent, above=1)  # with outdated ones of other keys
    unfinished = sum(row["stopped"] == "length" for row in rows)
    print(f"responses: {len(rows)} written, {unfinished} cut at {params.generate.max_new_tokens} tokens")
