"""The wires: how each vendor is spoken to. One folder or file a vendor; `registry` finds them by name."""
