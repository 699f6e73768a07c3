"""Small shared helpers: display, JSON parsing, redaction, tables."""
