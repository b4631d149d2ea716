# syntax=docker/dockerfile:1
# Image of the server, for amd64 and arm64.
#   docker build -t atlashub .

FROM rust:1.95-bookworm AS build
# libclang generates the bindings of Postgres's parser, which the SQL editor uses.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Cache mounts are not part of the image; a second build compiles only what changed. The embedded plugins are signed
# with the operator's key if it is given (docker build --secret id=first-party-key,src=FILE), otherwise with a key that
# is generated in the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked,id=atlashub-target \
    --mount=type=cache,target=/root/.cache/atlashub,sharing=locked,id=atlashub-cache \
    --mount=type=secret,id=first-party-key,target=/run/secrets/first-party-key \
    if [ -s /run/secrets/first-party-key ]; then export ATLASHUB_FIRST_PARTY_KEY_FILE=/run/secrets/first-party-key; fi \
    && cargo xtask build --release \
    && cp target/release/atlashub /usr/local/bin/atlashub

FROM debian:trixie-slim AS run
# pg_dump and pg_restore must be at least as new as the server. Cloudflare Access and S3 need ca-certificates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 atlashub \
    && useradd --system --uid 10001 --gid atlashub --no-create-home --home-dir /var/lib/atlashub atlashub \
    && install -d -o atlashub -g atlashub -m 0700 /var/lib/atlashub
COPY --from=build /usr/local/bin/atlashub /usr/local/bin/atlashub

# The allocator returns freed memory to the system at once.
ENV MIMALLOC_PURGE_DELAY=0
ENV ATLASHUB_ENV=production \
    ATLASHUB_DATA_DIR=/var/lib/atlashub \
    ATLASHUB_PUBLIC_LISTEN=0.0.0.0:8080 \
    ATLASHUB_ADMIN_LISTEN=0.0.0.0:8081
USER 10001:10001
WORKDIR /var/lib/atlashub
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["atlashub", "healthcheck"]
ENTRYPOINT ["atlashub"]
CMD ["serve"]
