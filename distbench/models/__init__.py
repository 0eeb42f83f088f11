"""Model families: how a model is found, opened, asked, trained and saved."""
