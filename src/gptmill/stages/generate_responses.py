"""generate_responses: what the instruct model answers to the test split, and the base model beside it."""

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
    sections = {
        "seed": params.seed,
        "generate": params.generate,
        **device.settings(params.compute),
        "machine": runtime.description(),
    }
    models = {"": paths.INSTRUCT_MODEL} | ({"base_": paths.BASE_MODEL} if params.generate.compare_base else {})
    under_way = paths.PARTIAL_RESPONSES / cache_key.of_stage("generate_responses", sections, [test, *models.values()])

    def answers(folder: Path, given: list[str]) -> list[responses.Answer]:
        model, tokenizer = ModelFolder(folder).load()
        kept = resumable.ResumableJsonl(under_way / f"{folder.name}.jsonl")
        return responses.respond(model, tokenizer, template, given, params.generate, params.seed, runtime, kept)

    given = [template.prompt(record["instruction"], record["input"]) for record in records]
    answered = [
        {"id": i, **record, "prompt": prompt} for i, (record, prompt) in enumerate(zip(records, given, strict=True))
    ]
    for prefix, folder in models.items():
        # The base model never learnt to write the header of an answer: for it, it stands in the prompt in every style.
        asked = (
            [template.with_header(record["instruction"], record["input"]) for record in records] if prefix else given
        )
        for record, answer in zip(answered, answers(folder, asked), strict=True):
            fields = {"response": answer.response, "tokens": answer.tokens, "stopped": answer.finish_reason}
            record |= {f"{prefix}{name}": value for name, value in fields.items()}
    files.write_jsonl(paths.RESPONSES, answered)
    files.remove_folder(under_way.parent, above=1)  # with those of other fingerprints: what they were for is past
    unfinished = sum(record["stopped"] == "length" for record in answered)
    print(f"responses: {len(answered)} written, {unfinished} cut at {params.generate.max_new_tokens} tokens")
