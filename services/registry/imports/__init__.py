"""Takes in lists as files: units, rolls, organisations, volunteers; a dry run first, an error per row and column."""
