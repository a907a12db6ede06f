"""The host stand-in, against the storage emulator and sample apps."""
