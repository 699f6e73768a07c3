"""OpenAI, and every server that speaks its wire: `chat` and `responses` are its APIs, `provider` ties them together."""
