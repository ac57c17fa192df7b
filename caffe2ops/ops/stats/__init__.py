"""Statistics: histograms, quantiles, meters, samples, counters and timers."""
