# The entrances. `make test` on a fresh Debian 12 with Rust and a C compiler installs what it needs.
.PHONY: run test e2e e2e-substrate deb reproducible fmt lint fuzz miri bench

# Builds, makes a development home, starts a guard that signs and refuses, and says where to look.
run:
	cargo build --release --package palisade-cli
	scripts/run-development-guard

# Everything that can fail, but form and lints.
test:
	scripts/step "tools" scripts/install-tools
	scripts/test

# A real consensus client validates through the real guard.
e2e:
	scripts/step "tools" scripts/install-tools
	E2E_ALLOW_SKIP=0 scripts/e2e

# Real BABE and GRANDPA nodes on the real guard. Builds a whole node (about 14 minutes of processor
# time when cold), so it is not part of `make test`.
e2e-substrate:
	command -v protoc >/dev/null || apt-get install --yes protobuf-compiler
	cargo build --release --package palisade-cli
	e2e/substrate/run $(SCENARIOS)

# What ships: the program, its bill of materials, a Debian package, their SHA-256 sums.
deb:
	scripts/release-build
	scripts/deb
	scripts/check-deb target/dist/palisade_*.deb

# Builds the committed sources twice, in different places, and compares what ships.
reproducible:
	scripts/check-reproducible

# Looks for undefined behaviour in the only crate with `unsafe`.
miri:
	scripts/miri

# Brings every source into form.
fmt:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

# What `.ci/run` checks before the tests.
lint:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	scripts/check-pure
	scripts/check-aarch64
	scripts/deny
	scripts/check-unit

# Ten seconds for each parser of foreign bytes; `fuzz/run 600 TARGET` for longer.
fuzz:
	fuzz/run 10

# Ratios to what the machine can do at best, measured in the same run; JSON lines on standard
# output. Needs a quiet machine and a real disk below target/.
bench:
	cargo bench -p palisade-cli --bench guard
