# Paretoscope: the app, and with another command a Dask scheduler or worker, from one image. See docs/deployment.md.
#   docker build -t paretoscope .
ARG BASE=python:3.12.11-slim-bookworm

FROM ${BASE} AS packages
COPY requirements.txt requirements-scale.txt requirements-targets.txt /tmp/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt -r /tmp/requirements-scale.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements-targets.txt \
    && /opt/venv/bin/pip check

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 paretoscope \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin paretoscope \
    && install -d -o paretoscope -g paretoscope /data
COPY --from=packages /opt/venv /opt/venv
COPY . /app
WORKDIR /app
# The engine and the server are compiled here, since the folder cannot be written to later.
RUN /opt/venv/bin/python -m compileall -q app.py optimizers pages sample_models serving

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    KERAS_HOME=/data/keras \
    PARETOSCOPE_HOME=/data \
    PARETOSCOPE_LOG=json \
    STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE=true \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_HEADLESS=true \
    STREAMLIT_SERVER_PORT=8501
USER 10001:10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/healthz', timeout=4)"]
# tini ends what is left of a process that was killed; Streamlit gets its signals and ends the work in time.
ENTRYPOINT ["tini", "--"]
CMD ["streamlit", "run", "app.py"]
