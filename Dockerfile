# The releases' images are not built with this file: they hold the programs of the archives, and have no base image.
# The compiler's image, by the digest of its index, which has all platforms. docs/releases.md says how it is renewed.
ARG GO_IMAGE=golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d
FROM $GO_IMAGE AS build
WORKDIR /src
# A separate layer: modules are fetched again only when they change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# The contents of the image: the program, which has root certificates in it, and its folder for keys. The compiler's
# cache would be of no use to a later build.
RUN CGO_ENABLED=0 GOCACHE=/tmp/cache go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/root/api ./cmd/api \
  && rm -rf /tmp/cache \
  && install -d -m 0770 /out/latchkey /out/latchkey/var

FROM scratch
COPY --from=build /out/root /
# A new named volume that is mounted on /latchkey/var takes over its owner and mode. The group is root's, and may write:
# OpenShift runs images as a user that it chooses, in that group.
COPY --from=build --chown=65532:0 /out/latchkey /latchkey
WORKDIR /latchkey
# A number, so that Kubernetes' runAsNonRoot can verify that it is not root.
USER 65532:65532
# Public and internal. Inside a container the internal listener's default, the loopback address, cannot be reached:
# set LATCHKEY_INTERNAL_ADDR=:8081 and publish that port only where your own backends are.
EXPOSE 8080 8081
ENTRYPOINT ["/api"]
CMD ["serve"]
