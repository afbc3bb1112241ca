"""The studies that ship, one TOML file each."""
