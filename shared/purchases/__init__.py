"""What a customer bought, and how each purchase is cancelled."""
