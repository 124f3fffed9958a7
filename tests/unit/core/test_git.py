import pytest

from gptmill.core.errors import GptmillError
from gptmill.core.git import git


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    return tmp_path


def test_what_git_prints_comes_byte_for_byte(repository):
    content = "caf\udce9\r\nno end of line"  # an é in Latin-1, as a surrogate
    digest = git("hash-object", "-w", "--stdin", stdin=content).strip()
    assert git("cat-file", "-p", digest, cwd=repository) == content


def test_a_failure_is_an_error_with_gits_message_or_the_default(repository, monkeypatch):
    with pytest.raises(GptmillError, match="git rev-parse ended with 128: fatal: .*HEAD"):
        git("rev-parse", "HEAD")
    assert git("rev-parse", "HEAD", default="none") == "none"
    monkeypatch.setenv("PATH", str(repository))
    assert git("status", default="") == ""  # git is not installed
    with pytest.raises(OSError):
        git("status")


def test_a_folder_without_a_repository_comes_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(GptmillError, match="not a git repository.*git init && git add --all && git commit"):
        git("status", cwd=tmp_path)
