#!/bin/sh
# genai-prices 0.2.3 (PyPI, Python 3.11): Azure has no list of its own for many models and falls back to OpenAI's, but
# the fallback forgets the service tier. `gpt-5` with the price context {"service_tier": "priority"} costs twice the
# standard price as OpenAI's, and the standard price as Azure's; nothing says that the tier was not looked at. A budget
# that is reckoned by it is too low by half for priority, and too high for flex.
#
# Seen (1,000 tokens in, 1,000 out):
#   openai: standard 0.01125, priority 0.02250, flex 0.005625
#   azure: standard 0.01125, priority 0.01125, flex 0.01125
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check genai-prices==0.2.3
"$folder/venv/bin/python" - <<'PY'
from genai_prices import Usage, calc_price

prices = {}
for provider in ("openai", "azure"):
    for tier in (None, "priority", "flex"):
        context = {"service_tier": tier} if tier else None
        price = calc_price(Usage(input_tokens=1000, output_tokens=1000), "gpt-5", provider_id=provider, price_context=context)
        prices[provider, tier] = price.total_price
    print(f"{provider}: standard {prices[provider, None]}, priority {prices[provider, 'priority']}, flex {prices[provider, 'flex']}")
assert prices["openai", "priority"] == 2 * prices["openai", None]
assert prices["openai", "flex"] < prices["openai", None]
assert prices["azure", None] == prices["azure", "priority"] == prices["azure", "flex"] == prices["openai", None]
PY
