"""Pure rules: state and time in, state and verdict out. Nothing here waits, locks, or looks at a clock."""
