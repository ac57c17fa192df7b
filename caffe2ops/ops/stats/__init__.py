"""Statistics: histograms, quantiles, meters, samples and counters."""
