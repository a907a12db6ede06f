"""The one-time consent of a person."""
