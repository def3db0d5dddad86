"""Text to phones. Others use `reading` (the door), `words` and `assemble` (training), and `phones` (the table)."""
