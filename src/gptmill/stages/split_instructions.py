"""split_instructions: clean instruction records as train, validation and test."""

from gptmill.config.schema import Params
from gptmill.core import files, paths


def run(params: Params) -> None:
    from gptmill.data import instructions, splits

    parts = instructions.split(
        instructions.read_clean(paths.CLEAN_INSTRUCTIONS), params.split.instructions, params.seed
    )
    with files.atomic(paths.INSTRUCTION_SPLITS) as folder:
        folder.mkdir()
        for split, part in parts.items():
            files.write_jsonl(folder / f"{split}.jsonl", part.to_dict("records"))

    total = sum(len(part) for part in parts.values())
    print(f"instructions: {total:,} records -> {splits.summary(parts)}")
