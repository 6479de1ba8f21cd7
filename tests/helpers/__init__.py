"""What several tests and benchmarks need: samples, waits, servers, databases, clusters, faults. It holds no tests."""
