# vitbench with the CUDA libraries that PyTorch's wheels bring; the host needs a driver and the NVIDIA
# container toolkit. Nothing runs as root.
#
#   docker build -t vitbench .
#   docker run --rm --gpus all -v /path/to/data:/data:ro -v "$PWD/results:/home/vitbench/results" vitbench \
#       eval knn dino-vits16 --data imagenet
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/vitbench
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY vitbench vitbench
COPY protocols protocols
COPY checkpoints checkpoints
RUN /opt/vitbench/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 vitbench \
    && install -d -o vitbench /data /cache
COPY --from=build /opt/vitbench /opt/vitbench
ENV PATH=/opt/vitbench/bin:$PATH VITBENCH_DATA=/data VITBENCH_CACHE=/cache \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER vitbench
WORKDIR /home/vitbench
VOLUME ["/cache"]
ENTRYPOINT ["vitbench"]
CMD ["--help"]
