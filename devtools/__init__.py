"""What `./dev` does: the platform on one machine, its tests, checks and benchmarks."""
