"""The many ways in which frameworks and vendors write the same thing, read into the one neutral form."""
