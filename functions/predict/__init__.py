"""API Gateway event to predictions."""
