"""Metrics, statistics and calibration of the models; baselines on the same data; judges of answers."""
