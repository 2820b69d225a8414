# What the web page computes predictions with.
FROM node:24-slim AS page-runtime

WORKDIR /opt/autonl
COPY api api
RUN cd api/page_runtime && npm ci --no-progress && npm run --silent files

# The API, the sweeper and the migrations: everything except searches and dataset checks, and therefore without torch.
FROM python:3.11-slim

RUN useradd --uid 10001 --no-create-home autonl \
    && install --directory --owner=autonl --group=autonl /var/lib/autonl
WORKDIR /opt/autonl
ENV PYTHONUNBUFFERED=1

COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY autonl_core autonl_core
COPY store store
COPY migrations migrations
COPY telemetry telemetry
COPY api api
COPY --from=page-runtime /opt/autonl/api/page_runtime/files api/page_runtime/files
COPY worker worker
COPY autonl autonl
COPY cli cli
RUN pip install --no-cache-dir --constraint constraints.txt ".[s3]"

USER autonl
