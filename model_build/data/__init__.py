"""Reading, cleaning, splitting and encoding labelled text."""
