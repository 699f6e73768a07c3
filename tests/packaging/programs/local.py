"""The model on this machine answers when everything else is down; the weights are installed besides the extra."""

from multiroute_core import Route, Router
from multiroute_core.testing import rate_limited, scripted_route

with Router([scripted_route("first", rate_limited(retry_after=60)), Route("local:smollm2", backup=True)]) as router:
    response = router.generate("Name a colour.", max_tokens=8)
    assert response.route == "local:smollm2"
    assert response.text.strip()
