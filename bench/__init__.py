"""Measures the hub on this machine: `make bench`, or `python -m bench --help`."""
