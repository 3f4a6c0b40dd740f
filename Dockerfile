# docker build --build-arg VERSION=$(git describe --tags --always) -t terra-reconcile .
#
# The result holds one static binary, the certificates of public authorities and
# time zone data inside the binary. No shell, no package manager. It runs as
# 65532:65532 and writes to /state (memory, journal, history) and /tmp only:
#
# docker run --read-only --tmpfs /tmp --stop-timeout 20 -v state:/state \
#   -v ./runner:/etc/terra-reconcile:ro terra-reconcile
#
# with daemon.yaml in ./runner. examples/container has it for Compose, examples/kubernetes for
# Kubernetes.
#
# The result holds nothing of the image that builds it but the certificates. No digest of
# that image stands here: one that nobody here has looked at would be a promise without
# ground. Give the one that you have looked at (docker buildx imagetools inspect
# golang:1.26-bookworm) with --build-arg GO_IMAGE=golang:1.26-bookworm@sha256:DIGEST, and
# compare the binary with one that you build elsewhere: .ci/release-snapshot shows that
# it is the same, byte for byte. The compiler is the release that go.mod names, which Go itself
# checks against sum.golang.org where the image has another, and so are all modules.

ARG GO_IMAGE=golang:1.26-bookworm
FROM ${GO_IMAGE} AS build
ENV GOTOOLCHAIN=go1.26.8
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=${VERSION}" \
    -o /out/reconcile ./cmd/reconcile
# /tmp lies in a folder of its own: copied by itself it would lose its mode.
RUN mkdir -p /out/state /out/root && mkdir -m 1777 /out/root/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/state /state
COPY --from=build /out/root/ /
COPY --from=build /out/reconcile /reconcile
ENV HOME=/state RECONCILE_STATE_DIR=/state
USER 65532:65532
VOLUME /state
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/reconcile", "status"]
ENTRYPOINT ["/reconcile"]
CMD ["daemon", "--config", "/etc/terra-reconcile/daemon.yaml"]
