"""Bytes in, values out: codecs, tables and Modbus framing. No I/O, no clock."""
