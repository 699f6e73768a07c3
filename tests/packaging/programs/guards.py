"""Phone numbers and IBANs are masked; an answer must match a JSON schema, else the next route is tried."""

from multiroute_core import Router
from multiroute_core.guards import Masks, mask_personal_data, matches_schema
from multiroute_core.testing import Answer, scripted_route

text = "Call +49 30 901820, and pay to DE89 3704 0044 0532 0130 00."
masked = Masks([text], regions=["DE"]).mask(text)
assert "[PHONE_1]" in masked, masked
assert "[IBAN_1]" in masked, masked

schema = {"type": "object", "required": ["colour"]}
routes = [scripted_route("first", Answer("{}")), scripted_route("second", Answer('{"colour": "blue"}'))]
with Router(routes, accept=matches_schema(schema), guards=[mask_personal_data()]) as router:
    assert router.generate(f"Name a colour. {text}").route == "second"
