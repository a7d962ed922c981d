"""The server of a study: FastAPI over the rules of `ptheta.study.interview`.

It holds all images in memory, so that the time of an answer does not depend on which image it is,
and imports neither torch nor anything that does.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from jinja2 import Environment
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from ptheta.errors import PthetaError, unknown
from ptheta.files.atomic import locked
from ptheta.schemas import Study
from ptheta.study.files import STUDY_FILE, read_study
from ptheta.study.guard import YEAR, Doors, Guard, cookie
from ptheta.study.interview import Interview, Refused, Reply, State
from ptheta.study.order import trials_of
from ptheta.study.plan import BETWEEN, IMAGES, MASKS, MOST_BYTES, PLAN_FILE, Plan, read_plan
from ptheta.study.store import Desk, Store
from ptheta.study.words import LANGUAGES, WORDS, chosen

T = TypeVar("T")
KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "page.html"
EVERY = ("0.0.0.0", "::", "")  # what stands for all addresses of a machine
FAR_4, FAR_6 = "192.0.2.1", "2001:db8::1"  # of documentation: nobody has them
Time = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Joining(_Body):
    """What a person sends to take part."""

    name: Annotated[str, Field(max_length=200)]
    consent: bool
    language: Annotated[str, Field(max_length=20)]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{48}$")]


class Answering(_Body):
    """An answer: see `ptheta.study.interview.Reply`."""

    tab: Annotated[int, Field(ge=0, lt=2**53)]
    trial: Annotated[int, Field(ge=0, lt=2**31)]
    answer: Annotated[str, Field(max_length=20)]
    shown_ms: Time | None
    response_ms: Time | None


@dataclass(frozen=True)
class Site:
    """What the server shows. images, masks: PNG files by id; parts: files of the page by name"""

    plan: Plan
    study: Study
    images: Mapping[str, bytes]
    masks: tuple[bytes, ...]
    parts: Mapping[str, tuple[bytes, str]]
    page: Callable[..., str]


def site_of(folder: Path) -> Site:
    """The study in a folder. Raises PthetaError where it is none, or an image is missing."""
    plan, study = read_plan(folder), read_study(folder / STUDY_FILE)
    _check(folder, plan, study)
    files = {item.id: folder / IMAGES / f"{item.id}.png" for item in plan.items}
    masks = [folder / MASKS / f"{i}.png" for i in range(plan.masks)]
    try:
        size = sum(file.stat().st_size for file in files.values())
        if size > MOST_BYTES:
            raise PthetaError(f"{folder}: {size:,} bytes of images; give fewer or smaller ones")
        images = {name: file.read_bytes() for name, file in files.items()}
        shown = tuple(file.read_bytes() for file in masks)
    except OSError as error:
        raise PthetaError(
            f"cannot read {error.filename}: {error.strerror}; make the study again"
        ) from None
    home = resources.files("ptheta.study") / "web"
    parts = {
        file.name: (file.read_bytes(), KINDS[Path(file.name).suffix])
        for file in home.iterdir()
        if Path(file.name).suffix in KINDS
    }
    words = json.dumps(WORDS, ensure_ascii=False).encode()
    parts["words.json"] = words, "application/json"
    page = Environment(autoescape=True).from_string((home / PAGE).read_text(encoding="utf-8"))
    return Site(plan, study, images, shown, parts, page.render)


def _check(folder: Path, plan: Plan, study: Study) -> None:
    """Raises PthetaError for files that were edited so that nobody could be asked."""
    if study.protocol != plan.protocol:
        raise PthetaError(
            f"{folder}: {STUDY_FILE} is of {study.protocol} and {PLAN_FILE} of {plan.protocol}; "
            "restore both as they were"
        )
    if plan.language not in LANGUAGES:
        raise unknown("language", plan.language, LANGUAGES)
    try:
        for source in plan.models:
            trials_of(plan, 0, source if plan.design == BETWEEN else "")
    except (IndexError, ValueError):
        raise PthetaError(
            f"{folder / PLAN_FILE} has too few images for its questions: restore it as it was"
        ) from None


def app_of(folder: Path, doors: Doors) -> Guard:
    """The application of the study in a folder, as ASGI. Its end closes the database."""
    site, store = site_of(folder), Store(folder)
    store.claim(site.plan.content)
    desk = Desk(store)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=life)
    _add_errors(app)
    _add_pages(app, site, doors)
    _add_talk(app, site, doors, desk, Interview(site.plan, site.study.name, store))
    return Guard(app, doors)


def _add_errors(app: FastAPI) -> None:
    """One status and one line for every request that is not carried out."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return _said(error.status, error.code, error.text)

    @app.exception_handler(RequestValidationError)
    async def odd(request: Request, error: RequestValidationError) -> Response:
        return _said(422, "form", "the request is not of the form that the page sends")

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        return _said(error.status_code, "page", str(error.detail))

    @app.exception_handler(sqlite3.Error)
    async def unwritten(request: Request, error: sqlite3.Error) -> Response:
        logging.getLogger("uvicorn.error").error("an answer could not be stored: %s", error)
        return _said(503, "disk", "the answer could not be stored: try again")


def _said(status: int, code: str, text: str) -> Response:
    return JSONResponse({"error": code, "text": text}, status)


def _add_pages(app: FastAPI, site: Site, doors: Doors) -> None:
    plan = site.plan

    @app.get("/")
    async def page(request: Request) -> Response:
        language = chosen(request.headers.get("accept-language", ""), plan.language)
        about = {
            "protocol": plan.protocol,
            "name": site.study.name,
            "language": language,
            "languages": LANGUAGES,
            "consent": plan.consent,
            "width": plan.width,
            "height": plan.height,
            "masks": len(site.masks),
            "mask_ms": plan.timing.mask_ms,
            "counts": site.study.counts,
            "least_correct": plan.least_correct,
            "rest_every": plan.break_every,
        }
        text = site.page(about=json.dumps(about), base=f"{doors.base}/", **about)
        return Response(text, media_type="text/html; charset=utf-8")

    @app.get("/static/{name}")
    async def part(name: str) -> Response:
        if name not in site.parts:
            raise HTTPException(404, "no such page")
        body, kind = site.parts[name]
        return Response(body, media_type=kind)

    @app.get("/mask/{number}")
    async def mask(number: str) -> Response:
        if not (number.isascii() and number.isdecimal() and len(number) < 3):
            raise HTTPException(404, "no such page")
        if int(number) >= len(site.masks):
            raise HTTPException(404, "no such page")
        return Response(site.masks[int(number)], media_type="image/png")


def _add_talk(app: FastAPI, site: Site, doors: Doors, desk: Desk, interview: Interview) -> None:
    def cookie_of(request: Request) -> str:
        return cookie(request.headers.get("cookie", ""), doors.joined)

    @app.post("/api/open")
    async def open_(request: Request) -> State:
        key = cookie_of(request)
        return await desk.run(lambda: interview.open(key))

    @app.post("/api/join")
    async def join(request: Request, response: Response, body: Joining) -> State:
        if not body.consent:
            raise Refused(422, "consent", "only who agrees can take part")
        language = body.language if body.language in LANGUAGES else site.plan.language
        state = await desk.run(lambda: interview.join(body.name, language, body.key))
        response.set_cookie(
            *(doors.joined, body.key, YEAR),
            path=f"{doors.base}/",
            httponly=True,
            samesite="lax",
            secure=doors.secure,
        )
        return state

    @app.post("/api/leave")
    async def leave(request: Request, response: Response) -> State:
        key = cookie_of(request)
        state = await desk.run(lambda: interview.leave(key))
        response.delete_cookie(
            doors.joined, path=f"{doors.base}/", httponly=True, samesite="lax", secure=doors.secure
        )
        return state

    @app.post("/api/answer")
    async def answer(request: Request, body: Answering) -> State:
        key, reply = cookie_of(request), Reply(**body.model_dump())
        return await desk.run(lambda: interview.answer(key, reply))

    @app.get("/image/{token}")
    async def image(request: Request, token: str) -> Response:
        key = cookie_of(request)
        item = await desk.run(lambda: interview.image(key, token))
        return Response(site.images[item], media_type="image/png")


def serve(
    folder: Path,
    host: str,
    port: int,
    doors: Doors,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves the study in a folder until a signal ends it.

    Args:
        folder: Written by `ptheta study new`.
        host: Address to listen on.
        port: 0: any that is free.
        doors: Who may come in.
        ready: Called with the address once the server listens.

    Raises:
        PthetaError: The folder is no study, is served already, or the port cannot be used.
    """
    if not os.access(folder, os.W_OK):
        raise PthetaError(f"{folder} cannot be written, and answers are stored there")
    lock = locked(folder, "serving the study", "open its pages, or stop it")
    with lock, _listening(host, port) as listening:
        server = uvicorn.Server(configured(app_of(folder, doors)))
        number = listening.getsockname()[1]
        name = _reachable(host)
        query = f"?token={doors.token}" if doors.token else ""
        ready(f"{doors.origin or f'http://{name}:{number}'}{doors.base}/{query}")
        server.run(sockets=[listening])


def configured(app: Guard) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        log_level="error",
        access_log=False,  # which would keep addresses of people
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        ws="none",
    )


def _reachable(host: str) -> str:
    """A host for the printed link. One that stands for all addresses of this machine is replaced by
    the address by which others reach it."""
    if host in EVERY:
        family, far = (socket.AF_INET6, FAR_6) if ":" in host else (socket.AF_INET, FAR_4)
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((far, 9))  # which sends nothing
                host = str(asked.getsockname()[0])
        except OSError:  # there is no network
            host = socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, so that asyncio sends what is written at once (TCP_NODELAY)
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError as error:
        made.close()
        raise PthetaError(
            f"--host {host} --port {port}: {error.strerror}; choose another"
        ) from None
    return made
