"""The embedded sample: a corpus, messages and instructions, as compressed files of this package. No network.

The texts are the project's own. `tools/sample` writes these files, and a test compares them with its output.

    from gptmill.ingest import sample
    print(sample.corpus(2_000))
"""

import json
from importlib import resources

from gptmill.data.text_files import SEPARATOR


def corpus(characters: int) -> str:
    """The first stories, separated by `<|endoftext|>` lines: at least `characters` of text, or all 1,300,000."""
    length, selected = 0, []
    for story in stories():
        if length >= characters:
            break
        selected.append(story)
        length += len(story) + len(SEPARATOR)
    return SEPARATOR.join(selected) + "\n"


def stories() -> list[str]:
    return _read("corpus.txt").removesuffix("\n").split(SEPARATOR)


def messages(rows: int) -> str:
    """The first `rows` lines `label<TAB>text` of 5,574, of which 13.4% are spam."""
    return "".join(_read("messages.tsv").splitlines(keepends=True)[:rows])


def instructions(rows: int) -> str:
    """A JSON list of the first `rows` of 1,100 records {"instruction", "input", "output"}, with a final newline."""
    return json.dumps(json.loads(_read("instructions.json"))[:rows], indent=4) + "\n"


def _read(name: str) -> str:
    import zstandard

    return zstandard.decompress(resources.files(__name__).joinpath(f"{name}.zst").read_bytes()).decode()
