"""The nouns: what passes between the rooms. numpy, and shapely for outlines; (y, x) always; the unit is in the name."""
