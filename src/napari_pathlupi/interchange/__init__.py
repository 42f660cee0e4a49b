"""Other people's features and models, in and out."""
