"""An OpenMeter server to test against: v3 and v1 over the package's own metering and a given catalog.

What belongs here: the server, its faults and the validation of what goes in and out. What does not: tests.
"""
