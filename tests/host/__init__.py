"""The local host, tested with the storage emulator and sample apps."""
