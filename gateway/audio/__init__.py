"""Audio formats, resampling, the playout clock and end-pointing."""
