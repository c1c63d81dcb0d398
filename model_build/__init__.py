"""From labelled text to a published artifact, offline. The only place with torch."""
