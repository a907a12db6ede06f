"""What azd runs around provisioning and deploying; standard library only."""
