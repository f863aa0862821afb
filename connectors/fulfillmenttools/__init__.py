"""Only `simulator` is Python here; what the hub reads is connector.yaml."""
