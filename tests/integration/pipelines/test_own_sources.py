"""Files of one's own in runs of the flow: DVC's part of the graph, and what a copy of the project has of them."""

import subprocess
from pathlib import Path

import pytest

from gptmill import config
from gptmill.core import paths
from gptmill.ingest import add_files, download, local_files, refresh
from pipelines import flow, graph, workspace
from pipelines.processes import Processes

TABLE = "label,text\nham,see you\nspam,WIN\n"
RECEIPT = "data/sources/spam/my table.csv.dvc"


def use_own_table() -> None:
    text = paths.PARAMS.read_text().replace("columns: [label, text]", "columns: []").replace(": sample\n", ": custom\n")
    paths.PARAMS.write_text(text.replace("spam.tsv\n    urls: []", "spam.csv\n    urls: [mine.csv]"))


@pytest.fixture
def repository(project, root, tmp_path_factory) -> Path:
    for name in (".gitignore", ".dvcignore"):
        Path(name).write_bytes((root / name).read_bytes())
    use_own_table()
    mine = tmp_path_factory.mktemp("mine") / "my table.csv"
    mine.write_text(TABLE)
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "commit", "-qm", "start"],
    ):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@e.org", *command[1:]] if command[0] == "git" else command,
            check=True,
        )
    list(add_files.add("spam", [mine]))
    return project


def test_a_file_that_was_added_is_a_stage_before_its_download_and_in_copies_as_it_was_corrected(
    repository, monkeypatch
):
    def stages() -> dict[str, graph.Stage]:
        return {stage.name: stage for stage in graph.read(str(repository), check=True)}

    assert stages()["download@spam"].upstream == (RECEIPT,) and stages()[RECEIPT].up_to_date
    Path(RECEIPT).with_suffix("").write_text(TABLE + "ham,bye\n")
    assert not stages()[RECEIPT].up_to_date
    assert [stage.name for stage in graph.select(stages().values(), ["download@spam"])] == [RECEIPT, "download@spam"]

    mine = Path(RECEIPT).with_suffix("")
    for content in (TABLE, TABLE + "ham,bye\n"):
        mine.write_text(content)
        with workspace.copy(repository, paths.PARAMS.read_text(), "", Processes(), print) as copy:
            assert (copy.folder / mine).read_text() == content
        assert {stage.name: stage for stage in graph.read(str(copy.folder), check=True)}[RECEIPT].up_to_date
    monkeypatch.chdir(copy.folder)
    Path(repository, "mine.csv").write_text(TABLE)
    with pytest.raises(
        download.NotFound, match="no such file or folder in this copy of the project.*gptmill data add.*absolute path"
    ):
        local_files.find("mine.csv")
    assert local_files.find(str(repository / "mine.csv"))[1] == [repository / "mine.csv"]


def test_the_parameters_of_a_copy_have_the_hashes_of_what_is_at_local_paths(project):
    use_own_table()
    mine = project.parent / "mine.csv"
    hashes = set()
    for content in (TABLE, TABLE + "ham,bye\n"):
        mine.write_text(content)
        text = refresh.with_pinned_hashes(flow.check_arguments(project, None, None, [f"data.spam.urls=['{mine}']"]))
        hashes.add(config.parse(text).data.spam.sha256)
    assert len(hashes) == 2 and "" not in hashes and 'sha256: ""' in paths.PARAMS.read_text()
