"""No Python here: what the hub reads is connector.yaml, and the tests run against a real Tryton."""
