# The entrances. `make test` on a fresh Debian 12 with Rust and a C compiler installs what it needs.
.PHONY: test fmt lint fuzz

# Everything that can fail, but form and lints.
test:
	scripts/step "tools" scripts/install-tools
	scripts/test

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
	scripts/deny

# Ten seconds for each parser of foreign bytes; `fuzz/run 600 TARGET` for longer.
fuzz:
	fuzz/run 10
