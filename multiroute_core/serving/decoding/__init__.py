"""Internal: requests, read from the formats of the APIs that a server speaks."""
