# A stand-in of AWS's Python 3.13 Lambda base image, which only a registry has: Debian's Python 3.13, the runtime client
# and the entry point at the paths where the real image keeps them. The context is the root that debootstrap made.
FROM scratch
COPY . /

ARG AWSLAMBDARIC
RUN python3.13 -m venv /var/lang \
    && /var/lang/bin/python3 -m pip install --no-cache-dir --target /var/runtime awslambdaric==${AWSLAMBDARIC}

# The real image carries AWS's own boto3 here, which must not win over the pinned one in the task root.
RUN echo 'raise ImportError("the base image'"'"'s own boto3 was imported")' > /var/runtime/boto3.py \
    && printf '#!/bin/sh\n[ $# -eq 1 ] || { echo "entrypoint requires the handler name to be the first argument" >&2; exit 142; }\nexport _HANDLER="$1"\nexec /var/runtime/bootstrap\n' > /lambda-entrypoint.sh \
    && printf '#!/bin/sh\nexport AWS_EXECUTION_ENV=AWS_Lambda_python3.13\nexec /var/lang/bin/python3.13 -m awslambdaric "$_HANDLER"\n' > /var/runtime/bootstrap \
    && chmod 755 /lambda-entrypoint.sh /var/runtime/bootstrap \
    && mkdir -p /var/task /opt

# PYTHONPATH is Lambda's, set by the service: /var/task (the working directory) comes before it, site-packages after.
ENV LANG=C.UTF-8 \
    PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin \
    LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib \
    PYTHONPATH=/var/runtime \
    LAMBDA_TASK_ROOT=/var/task \
    LAMBDA_RUNTIME_DIR=/var/runtime
WORKDIR /var/task
ENTRYPOINT ["/lambda-entrypoint.sh"]
