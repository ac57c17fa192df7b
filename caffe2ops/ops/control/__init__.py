"""Control flow: operators that run nets."""
