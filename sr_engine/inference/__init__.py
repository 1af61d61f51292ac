"""From a thick volume to a thin one: windows, blending, self-check and the one door."""
