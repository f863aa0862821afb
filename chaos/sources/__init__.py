"""The sources of messages: each module makes messages of one vendor, and says what must come of them.

`plan(random, count, names, seconds)` of a module gives `count` messages within `seconds`; `names` begins every id of
it, so that several plans can be played in one run. The same random numbers give the same plan.
"""
