"""OpenAI, and every server that speaks its wire: `chat` and `responses` are its two APIs, `provider` ties them together."""
