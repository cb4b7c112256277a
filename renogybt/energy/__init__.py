"""Energy counted from power, and the file that keeps the totals."""
