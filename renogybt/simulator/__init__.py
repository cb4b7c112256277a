"""A small off-grid system made of the tables: sun, loads, batteries, and the modules that tell of them."""
