"""Google's Gemini: `wire` is its REST wire, `genai` and `legacy` carry it through the newer SDK and the older one."""
