"""Provider for Anthropic's Messages API and compatible servers."""
