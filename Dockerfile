# The service on the CPU of an x86-64 machine of 2013 or newer (AVX2). docs/deployment.md says how to run it.
ARG PROCESSOR=x86-64-v3
FROM python:3.13-slim-bookworm AS build

# Machine code for that kind of processor, whichever one builds the image.
ARG PROCESSOR
ENV NUMBA_CPU_NAME=$PROCESSOR \
    NUMBA_CPU_FEATURES="" \
    NUMBA_CACHE_DIR=/opt/deblur/kernels \
    ORT_DISABLE_TELEMETRY=1
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY kernels kernels
COPY runtime runtime
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/deblur \
    && pip --python /opt/deblur/bin/python install --no-cache-dir ".[cpu,serve]" \
    && /opt/deblur/bin/deblur warmup --device cpu

FROM python:3.13-slim-bookworm

ARG PROCESSOR
ENV NUMBA_CPU_NAME=$PROCESSOR \
    NUMBA_CPU_FEATURES="" \
    NUMBA_CACHE_DIR=/tmp/kernels \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PATH=/opt/deblur/bin:$PATH
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin deblur
COPY --from=build /opt/deblur /opt/deblur
USER 10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
# Numba loads its machine code only from a folder that it may write to. The image need not be one: /tmp suffices.
ENTRYPOINT ["/bin/sh", "-c", "[ -e $NUMBA_CACHE_DIR ] || cp -R /opt/deblur/kernels $NUMBA_CACHE_DIR; exec deblur \"$@\"", "deblur"]
CMD ["serve", "--host", "0.0.0.0", "--device", "cpu", "--token-file", "/run/secrets/deblur-token"]
