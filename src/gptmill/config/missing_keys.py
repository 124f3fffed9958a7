"""`gptmill params complete`: adds keys that an older params.yaml lacks, and changes nothing else in it."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from gptmill import config
from gptmill.config.messages import find_missing
from gptmill.config.rendering import render
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError


def complete(path: Path = paths.PARAMS) -> Iterator[str]:
    """Add missing keys with their defaults and comments; yields a message for each.

    Raises `GptmillError`, and writes nothing, when the file can't be read or has other mistakes.
    """
    from ruamel.yaml import YAML

    absent = [key for key, _ in find_missing(Params, config.read(path))]
    if not absent:
        yield f"{path} is complete."
        return
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    document, whole = yaml.load(path.read_text(encoding="utf-8")), yaml.load(render(Params(), ""))
    for key in absent:
        *sections, name = key.split(".")
        section, model = document, whole
        for part in sections:
            section, model = _within(section, part), _within(model, part)
        after = [other for other in list(model)[: list(model).index(name)] if other in section]
        section.insert(list(section).index(after[-1]) + 1 if after else 0, name, model[name])
        if name in model.ca.items and not section.fa.flow_style():  # a comment would end a line of {a: 1, b: 2}
            section.ca.items[name] = model.ca.items[name]
        yield f"{key} was added, with its default"
    written = StringIO()
    yaml.dump(document, written)
    with files.atomic(path) as tmp:
        tmp.write_text(written.getvalue(), encoding="utf-8")
        try:
            config.load(tmp)
        except GptmillError as error:
            raise GptmillError(str(error).replace(str(tmp), f"{path}, with these keys,")) from None


def _within(section: Any, part: str) -> Any:
    """A list of defaults may be shorter than the file's: its last item stands for the rest."""
    if isinstance(section, list):
        return section[min(int(part), len(section) - 1)]
    return section[part]
