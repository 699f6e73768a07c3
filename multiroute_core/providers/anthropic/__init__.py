"""Internal: the provider for Anthropic's Messages API and compatible servers."""
