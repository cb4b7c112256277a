"""The tables of all device families, and which table fits which device."""
