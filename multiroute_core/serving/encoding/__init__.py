"""Internal: responses and streams, written in the formats of the APIs that a server speaks."""
