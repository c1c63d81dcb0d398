"""What every function shares: one artifact contract, one tokenization, one predictor, one request schema."""
