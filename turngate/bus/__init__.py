"""Redis streams: publishing, consuming, and recovery of what a dead consumer left unfinished."""
