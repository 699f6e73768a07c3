"""Internal: names and objects that people bring from other libraries, and what to write instead."""
