"""Internal: small shared helpers: display, JSON parsing, redaction, tables."""
