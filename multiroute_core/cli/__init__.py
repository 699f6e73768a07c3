"""Internal: the command line `multiroute`, one module for each command."""
