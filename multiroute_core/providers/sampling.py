"""Sampling parameters: drop those that a model rejects, and record the reason."""

from __future__ import annotations

from multiroute_core.providers.models import Model
from multiroute_core.types import Request


def sampling(request: Request, model: Model, dropped: list[str]) -> tuple[float | None, float | None]:
    """Returns temperature and top_p as supported by `model`; adds unsupported values to `dropped`."""
    temperature = request.temperature
    top_p = request.top_p
    if model.sampling == "none":
        for name, value in (("temperature", temperature), ("top_p", top_p)):
            if value is not None:
                dropped.append(f"{name}: the model does not support sampling parameters")
        return None, None
    if temperature is not None and temperature > model.max_temperature:
        dropped.append(f"temperature: {temperature} exceeds the model's maximum of {model.max_temperature}")
        temperature = None
    if model.sampling == "one" and temperature is not None and top_p is not None:
        dropped.append("top_p: the model does not support it together with temperature")
        top_p = None
    return temperature, top_p
