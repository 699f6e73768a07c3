"""Internal: how objects show themselves: as text in terminals, as HTML in notebooks, both from one description."""
