"""What people say of their cameras: cameras.toml, addresses, secrets."""
