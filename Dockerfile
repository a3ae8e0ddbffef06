# Dynamite with the policies that come with it, on nothing but the C library.
#
#   docker build -t dynamite .
#
# Arguments: PROFILE (cargo's; `dev` builds in half the time), RUST_IMAGE (where Docker Hub is not reached by its name),
# VERSION and REVISION (for the labels).

ARG RUST_IMAGE=rust:1.95-slim-bookworm

# The manifests, with sources that are empty: all that the dependencies are built from, and all that may build them anew.
FROM ${RUST_IMAGE} AS skeleton
WORKDIR /skeleton
COPY Cargo.toml Cargo.lock ./
COPY examples examples
COPY host host
COPY policies policies
COPY tests tests
RUN find . ! -type d ! -name Cargo.toml ! -name Cargo.lock ! -name lib.rs ! -name main.rs ! -path '*/benches/*' -delete \
 && for file in $(find . -name '*.rs'); do echo '//! Empty.' > $file; done \
 && for file in $(find . -name '*.rs' ! -name lib.rs); do echo 'fn main() {}' >> $file; done \
 && find . -type d -empty -delete \
 && find . -exec touch -d @0 {} +

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# What the image's own toolchain lacks; one without rustup brings the target, or is told so by cargo.
RUN if command -v rustup; then rustup target add wasm32-unknown-unknown; fi
ARG PROFILE=release
# Nothing is changed and built again in here, and debug information is not kept.
ENV CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 \
    BUILD="cargo build --locked --package dynamite --profile ${PROFILE}" \
    BUILD_POLICIES="cargo build --locked --target wasm32-unknown-unknown --profile policy --package schedule \
      --package step --package target-tracking --package threshold --package trend"
COPY --from=skeleton /skeleton ./
RUN $BUILD && $BUILD_POLICIES
COPY wit wit
COPY examples examples
COPY policies policies
COPY host host
# Cargo goes by the times of files, and these may be older than what was built of the empty ones.
RUN find host policies -name '*.rs' -exec touch {} + && $BUILD && $BUILD_POLICIES

# The image, as a folder: the program, the C library that it is linked to, what that needs to find hosts by name, the
# certificates that the world trusts, the policies, and the folders that are mounted or written.
WORKDIR /image
RUN mkdir -p etc/dynamite/service-files etc/ssl/certs usr/bin usr/share/dynamite/policies var/cache/dynamite \
 && cp "/src/target/$(echo "$PROFILE" | sed 's/^dev$/debug/')/dynamite" usr/bin/ \
 && strip usr/bin/dynamite \
 && cp --parents --dereference $(ldd usr/bin/dynamite | grep -o '/[^ ]*') . \
 && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
 && echo 'hosts: files dns' > etc/nsswitch.conf \
 && printf '%s\n' 'root:x:0:0::/:/' 'dynamite:x:65532:65532::/:/' > etc/passwd \
 && printf '%s\n' 'root:x:0:' 'dynamite:x:65532:' > etc/group \
 && for policy in schedule step target-tracking threshold trend; do \
      file=$(echo $policy | tr - _) && \
      cp /src/target/wasm32-unknown-unknown/policy/$file.wasm usr/share/dynamite/policies/ && \
      cp /src/policies/$policy/README.md usr/share/dynamite/policies/$file.md || exit 1; \
    done \
 && chmod 700 var/cache/dynamite && chown 65532:65532 var/cache/dynamite

FROM scratch
COPY --from=build /image /
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="dynamite" \
      org.opencontainers.image.description="Keeps the services of an application on fleet at the right number of instances" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, so that who runs it can tell that it is not root. fleet's socket may need another group: --group-add.
USER 65532:65532
# Compiled policies are kept here if it can be written: a volume or a tmpfs, when the rest is read-only.
ENV DYNAMITE_CACHE_DIR=/var/cache/dynamite
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["/usr/bin/dynamite", "health"]
ENTRYPOINT ["/usr/bin/dynamite"]
