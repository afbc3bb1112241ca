"""Published data sets by name: where they come from, what a whole copy holds, how one is made."""
