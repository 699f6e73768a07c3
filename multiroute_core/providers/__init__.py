"""Providers: request encoding, response decoding and transport for each LLM API.

One folder or file per provider; `registry` looks them up by name.
"""
