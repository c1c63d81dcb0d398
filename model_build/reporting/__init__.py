"""What a person reads: card, report, plots."""
