"""The nouns: what passes between the rooms. numpy only; (y, x) always; the unit is in the name."""
