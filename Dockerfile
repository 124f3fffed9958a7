# The pipeline in a container:  docker build -t gptmill .  &&  docker run --rm -v gptmill:/mill gptmill
FROM python:3.11-slim AS build
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The lock first: as long as it does not change, this layer comes from the cache.
COPY requirements.lock /build/
RUN pip install -r /build/requirements.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN pip install --no-build-isolation --no-deps /build

FROM python:3.11-slim
# git: DVC and the tags of MLflow's runs ask it for the commit. libgomp1: torch's threads.
RUN apt-get update && apt-get install --yes --no-install-recommends git libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 miller && install --directory --owner miller /mill
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_HOME=/mill/.prefect
USER miller
WORKDIR /mill
COPY --chown=miller . .
# DVC wants a repository around it; what is tracked stays the user's business.
RUN dvc config core.no_scm true
CMD ["sh", "-c", "gptmill params check && dvc repro && gptmill summary"]
