# The service alone; docker-compose.yml gives it a Postgres. Two stages: what builds the wheel stays behind.
FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/recount && python -m venv /opt/tools
COPY requirements.txt requirements-build.txt ./
RUN /opt/recount/bin/pip install --require-hashes -r requirements.txt \
 && /opt/tools/bin/pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
COPY projections ./projections
COPY schema ./schema
RUN /opt/tools/bin/python -m hatchling build -t wheel \
 && /opt/recount/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/recount/bin/python -m compileall -q /opt/recount/lib

FROM python:3.13-slim-trixie

# A number, so that Kubernetes' runAsNonRoot can tell.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin recount \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/recount
COPY --from=build /opt/recount /opt/recount
ENV PATH=/opt/recount/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    RECOUNT_HOST=0.0.0.0 RECOUNT_DATA_DIR=/var/lib/recount
USER 10001:10001
WORKDIR /var/lib/recount
VOLUME /var/lib/recount
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["recount"]
CMD ["serve"]
