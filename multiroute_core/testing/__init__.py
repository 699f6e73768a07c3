"""Support for tests and benchmarks: recorded provider traffic, and a server that replays it."""
