"""What waits for delivery: in memory at first, on the disk when it has to wait longer."""
