"""The one-time sign-in of a person, whose refresh token the app uses from then on."""
