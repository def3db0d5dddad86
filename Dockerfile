# tts-server in a container: docker build -t tts-server . && docker run --rm -p 127.0.0.1:8000:8000 --shm-size 256m tts-server
# deploy/compose.yml has it with nginx, Redis, Prometheus and Grafana. docs/operations.md
#
# Shared memory: audio goes from the workers to the server through /dev/shm, 5 MiB for each worker. Docker gives 64 MiB
# unless --shm-size says more; the server says so and does not start if it is too little.

FROM python:3.11-slim-bookworm AS build
# A wheel built here, its dependencies as wheels from the index: no compiler is needed, here or below.
WORKDIR /src
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY shm shm
COPY inference inference
COPY bench bench
COPY tts_server tts_server
COPY deploy/systemd deploy/systemd
COPY voices voices
RUN python -m venv /opt/tts-server \
 && /opt/tts-server/bin/pip install --no-cache-dir --no-compile '.[otel]' \
 && /opt/tts-server/bin/python -m pip uninstall --yes pip setuptools \
 && find /opt/tts-server -name '__pycache__' -prune -exec rm -rf {} +

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="tts-server" \
      org.opencontainers.image.description="A CPU text-to-speech server for Mandarin and English, with voices of its own" \
      org.opencontainers.image.licenses="Apache-2.0"
# ffmpeg makes aac, as a program of its own, and is 400 MB: --build-arg AAC=1. Without it aac alone is refused.
ARG AAC=""
# hadolint ignore=DL3008
RUN if [ -n "$AAC" ]; then apt-get update && apt-get install --yes --no-install-recommends ffmpeg; fi \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/tts-server --shell /usr/sbin/nologin tts \
 && install -d -o tts -g tts -m 0700 /var/lib/tts-server /var/cache/tts-server
COPY --from=build /opt/tts-server /opt/tts-server
# Keys and jobs; prepared models. Both must be writable, and nothing else: the root may be read-only.
VOLUME ["/var/lib/tts-server", "/var/cache/tts-server"]
# A container is reached from outside of it, so the server wants keys, or TTS_ALLOW_ANONYMOUS=true. Probes and metrics are
# at a port of their own, which is not published.
ENV PATH=/opt/tts-server/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TTS_HOST=0.0.0.0 \
    TTS_ADMIN_HOST=0.0.0.0 \
    TTS_ADMIN_PORT=8009 \
    TTS_STATE_DIR=/var/lib/tts-server \
    TTS_CACHE_DIR=/var/cache/tts-server
USER 10001:10001
EXPOSE 8000 8009
# Ready, not merely alive: what waits for this container waits until it can speak. Without curl, which the image lacks.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8009/readyz', timeout=2)"]
# SIGTERM drains (drain_s, 30 s): docker stop --time 45, or it is killed after 10.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tts-server"]
CMD ["serve"]
