# The same application as a server: any Python 3.13 will do as the base. `make image` lays out the context.
ARG BASE=python:3.13-slim
FROM ${BASE}
COPY dependencies/ /srv/
COPY models/model/ /opt/model/
COPY code/ /srv/
COPY server/ /srv/
ENV PYTHONPATH=/srv PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000 WORKERS=2 MODEL_STORE=file:///opt/model \
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 ORT_DISABLE_TELEMETRY=1 PYDANTIC_DISABLE_PLUGINS=__all__
WORKDIR /srv
USER 65534:65534
EXPOSE 8000
# Ready means that the default model answers; 503 until then.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3", "-m", "handler"]
CMD []
