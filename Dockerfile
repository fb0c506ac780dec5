# The binary alone, as nobody. See docs/deploy/docker.md.
FROM rust:1.95-slim-bookworm AS build
# SQLite and the cryptography are compiled from C.
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /usher
COPY . .
RUN cargo build --release --locked --package usher && mkdir -p /empty/var/lib/usher

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usher/target/release/usher /usr/local/bin/usher
# A new volume takes its owner from here.
COPY --from=build --chown=nonroot:nonroot /empty/var/lib/usher /var/lib/usher
VOLUME /var/lib/usher
WORKDIR /var/lib/usher
EXPOSE 8080 8443
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/usher"]
CMD ["serve", "--config", "/etc/usher/usher.toml"]
