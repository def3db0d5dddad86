"""How figures are said in English: a subject to a file, and `table`, the order in which its rules are asked."""
