"""How the next query is chosen: one family a file, each a `Strategy`."""
