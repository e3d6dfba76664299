# syntax=docker/dockerfile:1
# docker build --target cpu -t likeness .            a CPU build of torch; the packages take 1.6 GB, without bytecode
# docker build --target cuda -t likeness:cuda .      torch's own CUDA libraries; run it with --gpus all
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG VERSION=0.1.0
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION}
RUN python -m venv /opt/likeness
ENV PATH=/opt/likeness/bin:${PATH}
WORKDIR /source
COPY constraints.txt ./

FROM build AS build-cpu
RUN pip install -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install -c constraints.txt '.[service,postgres,ui,data]'

FROM build AS build-cuda
RUN pip install -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install -c constraints.txt '.[service,postgres,ui,data]'

FROM python:${PYTHON}-slim-bookworm AS runtime
RUN useradd --uid 10001 --create-home likeness \
 && install -d -o likeness -g likeness /data /models
ENV PATH=/opt/likeness/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    LIKENESS_HOME=/data \
    LIKENESS_CACHE=/data/cache \
    HF_HOME=/models
USER 10001
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 8000 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["likeness"]
CMD ["serve", "--host", "0.0.0.0"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/likeness /opt/likeness

FROM runtime AS cpu
COPY --from=build-cpu /opt/likeness /opt/likeness
