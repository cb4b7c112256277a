"""Makes readings: asks devices through a link they are handed, and cannot tell radio from simulator."""
