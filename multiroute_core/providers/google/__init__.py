"""Internal: the provider for Google's Gemini API: `genai` uses the current SDK, `legacy` the older one."""
