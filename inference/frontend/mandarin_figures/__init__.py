"""How figures are said in Mandarin: a subject to a file, and `table`, the order in which its rules are asked."""
