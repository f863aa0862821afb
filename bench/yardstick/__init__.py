"""The yardstick: the same work as a careful author does it with Flask and RQ, one job per event.

Nothing in it keeps a record, dedupes, orders or resends; its figures say how fast this machine is just now.
"""
