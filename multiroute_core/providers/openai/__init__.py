"""Internal: the provider for OpenAI and compatible servers.

`chat` and `responses` encode its two APIs, `provider` selects one.
"""
