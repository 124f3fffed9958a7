"""Each spoiled input goes from download to validate: it ends with one error that a person can read, or in quarantine with a reason."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import spoiled
from gptmill import stages
from gptmill.config import profiles, schema
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError

STORY = "Once upon a time there was a miller. He had a mill.\n" * 40
NOT_FOR_PEOPLE = re.compile(r"Traceback|[A-Z]\w+(Error|Exception)\b|<class|object at 0x|\[Errno")


def project_with(data_set: str, changes: dict) -> schema.Params:
    """Profile mini with one data set of one's own, and thresholds under which one bad row of forty is no catastrophe."""
    values = profiles.load("mini").model_dump()
    values["data"]["source"] = "custom"
    values["data"][data_set] |= {"max_megabytes": 300, **changes}
    values["data"]["expectations"] |= {
        "min_corpus_characters": 10,
        "min_records": 1,
        "min_messages": 1,
    } | dict.fromkeys(
        ["max_quarantined_share", "max_duplicate_share", "max_near_duplicate_share", "max_repeated_line_share"], 1.0
    )
    return schema.Params.model_validate(values)


@pytest.mark.parametrize("name", spoiled.INPUTS)
def test_a_spoiled_input_ends_readably_and_leaves_nothing_half_written(project, tmp_path, name):
    case = spoiled.INPUTS[name]
    Path("own").mkdir()
    if callable(case.make):
        case.make(Path("own"))
    else:
        Path("own", case.name).write_bytes(case.make)
    changes = case.params or (spoiled.CSV if case.data_set == "spam" else spoiled.STANDARD[case.data_set])
    limit = 10 if "bomb" in name or "lies" in name else 300
    values = project_with(case.data_set, {**changes, "urls": [f"own/{case.name}"], "max_megabytes": limit})
    for other, content in (
        ("corpus", STORY),
        ("spam", spoiled.UCI.decode()),
        ("instructions", json.dumps(spoiled.INSTRUCTIONS)),
    ):
        if other != case.data_set:
            files.write_text(paths.raw_file(other, spoiled.STANDARD[other]["file"]), content)
    before = {path for path in paths.RAW.iterdir()}

    def run() -> None:
        stages.run("download", values, case.data_set)
        stages.run("validate", values)

    if case.error:
        with pytest.raises(GptmillError) as caught:
            run()
        message = str(caught.value)
        assert re.search(case.error, message), message
        assert case.name.rpartition(".")[0] in message and not NOT_FOR_PEOPLE.search(message), message
        assert "\n" not in message and len(message) < 1000, message
        assert not paths.CLEAN.exists() and not paths.QUARANTINE.exists() and not paths.VALIDATION.exists()
        assert set(paths.RAW.iterdir()) - before <= {
            paths.raw_folder(case.data_set),
            paths.source_record(case.data_set),
        }
    else:
        run()
        quarantine = pd.read_parquet(paths.QUARANTINE / f"{case.data_set}.parquet")
        assert list(quarantine["row"]) == list(case.quarantined)
        for row, reasons in zip(quarantine["row"], quarantine["reasons"], strict=True):
            assert case.quarantined[row] in reasons, (row, reasons)
    assert [path for path in tmp_path.rglob("*") if ".part" in path.name or "evil" in path.name] == []
