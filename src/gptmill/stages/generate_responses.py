"""generate_responses: what the instruct model answers to the test split."""

from gptmill import compute, files, paths, tokenizer
from gptmill.evaluation import responses
from gptmill.model import weights
from gptmill.params import Params


def run(params: Params) -> None:
    machine = compute.prepare(params.compute, params.seed)
    records = files.read_jsonl(paths.INSTRUCTION_SPLITS / "test.jsonl")
    model, words = weights.load(paths.INSTRUCT_MODEL), tokenizer.load(paths.INSTRUCT_MODEL)
    answers = list(responses.respond(model, words, records, params.generate, params.seed, machine))
    files.write_jsonl(paths.RESPONSES, answers)
    unfinished = sum(answer["stopped"] == "length" for answer in answers)
    print(f"responses: {len(answers)} written, {unfinished} cut at {params.generate.max_new_tokens} tokens")
