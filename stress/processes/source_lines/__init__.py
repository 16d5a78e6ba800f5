"""Source lines: where in its code a caller stands whose command is held at the gate, seen from outside."""
