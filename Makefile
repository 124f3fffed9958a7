# Everything runs in .venvs/<hash>, made from the lock when there is none of its content; .venv is a link to it (tools/environment.py).
# A fresh machine needs only Python 3.11 or newer and make.
#   make run [PROFILE=book-tiny]    the whole pipeline          make flow    the same, through Prefect
#   make test-unit                  tests of single modules, in a minute and a half
#   make test                       these, the integration tests and the end-to-end tests; how much of src they run must not fall
#   make test-long                  kills, soaks and fuzzing at full length, outside CI (an hour)
#   make ui                         MLflow's and Prefect's pages
#   make reproduce [CHANGE=seed=124]   two clean runs of the last commit, compared output by output
#   make deps                       what dvc.yaml can be told of each stage: the folders of code it needs, the params it reads
#   make lint                       style                       make clean   what runs have made      make lock    new versions
#   make bench                      speed beside transformers and a textbook, into benchmarks/RESULTS.md (some 20 minutes, on a quiet machine)

PYTHON ?= python3
# By its full path: below, PATH finds the environment's own Python first, which can't create that environment.
SETUP := "$(or $(shell command -v "$(PYTHON)"),$(PYTHON))" tools/environment.py
VENV := $(CURDIR)/.venvs/$(shell $(SETUP) --name)
export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)
export PREFECT_HOME ?= $(CURDIR)/.prefect

# DVC stops outside of a git repository, as in a downloaded zip, unless it is told so.
WITHOUT_GIT := [ -e .git ] || git rev-parse --git-dir >/dev/null 2>&1 || dvc config --quiet --local core.no_scm true

# A process for each core, which runs one file after another: tests/conftest.py says in which order.
# What Python compiles is kept, whatever the environment says: tests start many processes of the same code.
PYTEST := PYTHONDONTWRITEBYTECODE= pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: environment run flow ui test test-unit test-long deps reproduce lint bench clean lock
.DEFAULT_GOAL := run

run: environment
	$(if $(PROFILE),@gptmill params use $(PROFILE))
	@gptmill params check
	@gptmill data refresh --local
	@$(WITHOUT_GIT)
	@# One run in MLflow for all stages, whatever becomes of them. What its server does not take now, the next `gptmill sync` sends.
	@export GPTMILL_RUN="make run $$(date '+%Y-%m-%d %H:%M:%S')"; \
		dvc repro; code=$$?; gptmill sync $$([ $$code = 0 ] || echo --failed) || true; exit $$code
	@gptmill summary

flow: environment
	$(if $(PROFILE),@gptmill params use $(PROFILE))
	@gptmill params check
	@$(WITHOUT_GIT)
	@python -m pipelines.flow
	@gptmill summary

ui: environment
	@gptmill up

test-unit: environment
	@$(PYTEST) tests/unit

test: environment
	@$(PYTEST) --cov --cov-report=

test-long: environment
	@PYTHONDONTWRITEBYTECODE= pytest -m long --durations=0

deps: environment
	@python -m tools.deps

reproduce: environment
	@python -m tools.reproduce $(if $(PROFILE),--profile $(PROFILE)) $(if $(CHANGE),--change $(CHANGE))

lint: environment
	@ruff check .
	@ruff format --check .
	@lint-imports

bench: environment
	@python -m benchmarks.run

# What a run leaves: data, models, reports, checkpoints, copies of runs that did not end, and the tools' own stores. The environment,
# DVC's cache and models that were imported stay.
clean:
	rm -rf data/raw/corpus data/raw/spam data/raw/instructions data/raw/*.source.json data/clean data/quarantine data/spam data/instructions data/tokens plots/*.csv
	rm -rf reports/*.html reports/*.json reports/*.jsonl reports/data reports/data_docs mlflow.db* .mlflow.lock mlartifacts .prefect .gptmill
	rm -rf models/base models/classifier models/instruct models/tokenizer .dvc/tmp/exps/gptmill-*

lock: environment
	pip-compile -q --strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--upgrade --extra build --extra stack -o requirements.lock pyproject.toml
	pip-compile -q --strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra build --extra stack --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@# A build that is for one kind of machine (torch's +cpu) is no version that others could install.
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.lock requirements-dev.lock

environment:
	@$(SETUP)
