# Workers and checkers: as the API image, plus torch and the other packages that searches need. The torch wheel includes CUDA.
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
COPY worker worker
COPY autonl autonl
COPY cli cli
RUN pip install --no-cache-dir --constraint constraints.txt ".[worker,s3,parquet]"

# Kernels are compiled for the processor of the host, once: the volume keeps them, since the image is read-only.
ENV NUMBA_CACHE_DIR=/var/lib/autonl/kernels

USER autonl
