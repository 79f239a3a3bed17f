# Builds one static program and puts it alone into an empty image.
#
#   docker build -t milepost .
#   docker run --rm -p 127.0.0.1:8080:8080 -v milepost:/data milepost
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# GOTOOLCHAIN=local: build with the Go of this image or not at all.
RUN CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -ldflags='-s -w' -o /out/milepost . \
    && install -d -m 0700 -o 65532 -g 65532 /out/data \
    && install -d -m 1777 /out/tmp

FROM scratch
ARG REVISION=""
LABEL org.opencontainers.image.title="Milepost" \
      org.opencontainers.image.description="A GraphQL gateway for cross-border parcels" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/ /
# The operations port stays inside: it asks nobody who they are.
ENV MILEPOST_LISTEN=0.0.0.0:8080 \
    MILEPOST_OPS_LISTEN=127.0.0.1:9090 \
    MILEPOST_STORE=sqlite:/data/milepost.db \
    MILEPOST_LOG_FORMAT=json
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["/milepost", "doctor"]
ENTRYPOINT ["/milepost"]
CMD ["serve"]
