# The image of `slipway build --on sagemaker`, built from the repository's root:
#
#     docker build --file model_build/training.Dockerfile --tag slipway-train .
#
# For instances without a GPU add --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu: an image of 2 GB, not 8.
# Where a GPU's driver is too old for the CUDA of PyPI's torch, name another index of PyTorch's, such as …/whl/cu128.
#
# The container runs as root, and must: SageMaker owns /opt/ml as root, starts the container without a user of its own,
# and writes the checkpoints of an interrupted job there before anything here runs. It has no port and gets no request.
ARG BASE=public.ecr.aws/docker/library/python:3.13-slim-bookworm
FROM ${BASE}

# The gates run the int8 model on emulated CPUs: qemu for AVX2, and debootstrap for arm64's root.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends debootstrap qemu-user \
    && rm -rf /var/lib/apt/lists/*

# Dependencies before code: a change in the code leaves this layer, and its upload, alone.
# The very pins of a build elsewhere, from pyproject.toml: what runs and the extra `build`. torch first, since its index
# may be another one; what it needs beside itself is on that index too.
ARG TORCH_INDEX=https://pypi.org/simple
WORKDIR /opt/slipway
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        print(*project["dependencies"], *project["optional-dependencies"]["build"], sep="\n")' > requirements.txt \
    && grep '^torch==' requirements.txt > torch.txt \
    && python3 -m pip install --no-cache-dir --index-url "${TORCH_INDEX}" --requirement torch.txt \
    && python3 -m pip install --no-cache-dir --requirement requirements.txt

COPY layers/runtime/python/slipway ./slipway
COPY model_build ./model_build
RUN chmod -R a+rX . && python3 -m compileall -q slipway model_build

# PYTHONPATH: the build runs in SageMaker's data directory, and starts processes of its own there.
ENV PYTHONPATH=/opt/slipway \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    HF_HOME=/tmp/huggingface

# SageMaker adds the argument `train`, which says nothing new.
ENTRYPOINT ["python3", "-m", "model_build.remote.entry"]
