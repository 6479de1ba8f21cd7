# Echo Lab as an image: the app and its own workers, as user 1000, on $PORT. Everything that lasts is in /data.
#
#   docker build -t echo-lab .
#   docker run -p 8501:8501 -v echo-lab:/data --read-only --tmpfs /tmp echo-lab
#
# BASE is any image with Python 3.11 to 3.13, venv, and glibc.
ARG BASE=docker.io/library/python:3.12-slim
FROM ${BASE}

ENV PATH=/opt/echo-lab/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# Only a change of a version installs TensorFlow again.
COPY requirements.txt constraints.txt /tmp/echo-lab/
RUN python3 -m venv /opt/echo-lab \
 && python -m pip install --no-cache-dir --compile -r /tmp/echo-lab/requirements.txt -c /tmp/echo-lab/constraints.txt
COPY . /tmp/echo-lab
RUN python -m pip install --no-cache-dir --compile --no-deps /tmp/echo-lab \
 && cp /tmp/echo-lab/deploy/dask.yaml /opt/echo-lab/dask.yaml \
 && rm -rf /tmp/echo-lab \
 && mkdir /data /keys \
 && chown 1000:1000 /data /keys

# Runs and compiled programs are kept in /data/echo-lab. Without a /tmp, temporary files go to the working folder.
ENV HOME=/data \
    XDG_DATA_HOME=/data \
    PORT=8501 \
    ECHO_HOSTED=true
USER 1000:1000
WORKDIR /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import os, urllib.request; \
urllib.request.urlopen('/'.join(filter(None, ['http://127.0.0.1:' + os.environ['PORT'], \
os.environ.get('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'), '_stcore/health'])), timeout=4)"]
CMD ["sh", "-c", "exec echo-lab --server.address=0.0.0.0 --server.port=\"$PORT\""]
