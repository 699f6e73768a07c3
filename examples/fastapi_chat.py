"""A chat endpoint on FastAPI: streams of a router as server-sent events, and its errors as HTTP statuses.

pip install 'multiroute-llm[openai,anthropic,serve]' fastapi
uvicorn examples.fastapi_chat:app
curl -N localhost:8000/api/chat/stream -H 'content-type: application/json' -d '{"message": "Hello"}'
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from multiroute_core import MultiRouteError, Router
from multiroute_core.serving import EventStream, http_error


class ChatBody(BaseModel):
    """What a client sends."""

    message: str
    deadline: float = 30.0


def build(router: Router) -> FastAPI:
    """Build the application around a router."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await router.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.exception_handler(MultiRouteError)
    async def answer_error(_: Request, error: MultiRouteError) -> JSONResponse:
        status, headers, body = http_error(error)
        return JSONResponse(body, status, headers)

    @app.post("/api/chat")
    async def chat(body: ChatBody, x_tenant: Annotated[str, Header()] = "public") -> dict[str, Any]:
        response = await router.agenerate(body.message, tenant=x_tenant, deadline=body.deadline)
        return {"text": response.text, **response.summary()}

    @app.post("/api/chat/stream", response_model=None)
    async def chat_stream(body: ChatBody, x_tenant: Annotated[str, Header()] = "public") -> EventStream:
        return EventStream(router.astream(body.message, tenant=x_tenant, deadline=body.deadline))

    return app


def __getattr__(name: str) -> FastAPI:
    """Build the application when uvicorn asks for it: the keys of the providers are needed only then."""
    if name == "app":
        return build(Router(["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"]))
    raise AttributeError(name)
