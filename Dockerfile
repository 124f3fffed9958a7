# The pipeline, its servers and its workers in one image:
#   docker build --tag gptmill:0.1.0 .  &&  docker run --rm --volume gptmill-cache:/mill/.dvc/cache gptmill:0.1.0
FROM python:3.11.13-slim-bookworm AS build
# Without a GPU, a torch that is 20 times smaller: --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG PIP_EXTRA_INDEX_URL
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The lock first: as long as it does not change, this layer comes from the cache.
COPY requirements.lock /build/
RUN pip install -r /build/requirements.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN pip install --no-build-isolation --no-deps /build

FROM python:3.11.13-slim-bookworm
# git: DVC's experiments and the tags of MLflow's runs. libgomp1: torch's threads. Debian keeps no older versions to pin.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends git libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 miller && install --directory --owner miller /mill
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_HOME=/mill/.prefect
USER 1000
WORKDIR /mill
COPY --chown=1000 . .
# DVC wants a repository around it. Its cache has to be there, and be miller's, before a volume is mounted on it.
RUN git init --quiet && git config user.name miller && git config user.email miller@localhost \
    && git add --all && git commit --quiet --message "What the image was built from" && mkdir --parents .dvc/cache
CMD ["sh", "-c", "gptmill params check && gptmill data refresh --local && dvc repro && gptmill summary"]
