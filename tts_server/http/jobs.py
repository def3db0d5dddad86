"""The routes of long jobs: order, ask, listen, fetch, cancel."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from tts_server.encoding import CONTENT_TYPES
from tts_server.errors import Conflict, InvalidRequest, JobsUnavailable, ShuttingDown, TooLarge, TTSError
from tts_server.http import ranges
from tts_server.http.bodies import JobBody, load, validate
from tts_server.http.guard import choose, permit_job
from tts_server.http.handlers import read_body
from tts_server.http.middlewares import json_response, note_failure
from tts_server.http.ranges import Span
from tts_server.http.requests import parse_tts
from tts_server.http.sending import send
from tts_server.http.services import CALLER, REQUEST_ID, SERVICES
from tts_server.jobs import files
from tts_server.jobs.record import Job, JobState, Manner, Order, View
from tts_server.jobs.service import Jobs

READ_BYTES: Final = 1 << 18
"""Of audio, read and sent at once."""
_BYTES_A_CHARACTER: Final = 12
"""An emoji as JSON escapes: two halves of six bytes each."""
_FIELDS_BYTES: Final = 1 << 16  # for what is not the text
_PAGE, _LONGEST_PAGE = 20, 100
_AGAIN_S: Final = 1.0
_CURSOR: Final = re.compile(r"\d{1,18}", re.ASCII)


async def submit(request: web.Request) -> web.Response:
    """POST /api/tts/jobs."""
    jobs, services = _jobs(request), request.app[SERVICES]
    limits = services.limits
    most_bytes = max(limits.body_bytes, limits.job_characters * _BYTES_A_CHARACTER + _FIELDS_BYTES)
    try:
        data = await read_body(request.clone(client_max_size=most_bytes))
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body may have up to {most_bytes} bytes") from None
    body = validate(JobBody, load(data))
    if body.timestamps:
        raise InvalidRequest("a job tells no timestamps; POST /api/tts does", param="timestamps")
    wanted, delivery = choose(
        request,
        lambda voices: parse_tts(
            data,
            voices,
            replace(limits, tts_characters=limits.job_characters),
            request_id=request[REQUEST_ID],
            deadline_s=limits.deadline_s,
        ),
    )
    if body.callback_url is not None:
        jobs.check_callback(body.callback_url)
    manner = Manner(
        wanted.voice.id,
        wanted.voice.engine,
        wanted.speed,
        wanted.volume,
        wanted.pitch_semitones,
        delivery.audio_format,
        delivery.sample_rate_hz,
    )
    if services.gateway.draining:
        raise ShuttingDown("the server is shutting down; another instance may take this", retry_after_s=_AGAIN_S)
    await permit_job(request, len(wanted.text))
    owner = _owner(request)
    view = await jobs.submit(Order(owner, wanted.text, manner, body.callback_url, body.idempotency_key))
    told: dict[str, object] = {"job_id": view.job.id, "status": view.job.state, "position": view.position}
    if body.callback_url is not None:
        told["callback_secret"] = jobs.callback_secret(owner)
    return json_response(told, HTTPStatus.ACCEPTED, {"Location": f"/api/tts/jobs/{view.job.id}"})


async def show(request: web.Request) -> web.Response:
    """GET /api/tts/jobs/{id}."""
    return json_response((await _view(request)).content())


async def listing(request: web.Request) -> web.Response:
    """GET /api/tts/jobs: the caller's, the latest first."""
    limit, cursor = request.query.get("limit", str(_PAGE)), request.query.get("cursor", "")
    if not _CURSOR.fullmatch(limit) or not 1 <= int(limit) <= _LONGEST_PAGE:
        raise InvalidRequest(f"limit must be a whole number from 1 to {_LONGEST_PAGE}", param="limit")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("cursor must be the next_cursor of an earlier page", param="cursor")
    found = await _jobs(request).page(_owner(request), int(limit) + 1, int(cursor) if cursor else None)
    page = found[: int(limit)]
    following = str(page[-1].seq) if len(found) > len(page) else None
    return json_response({"jobs": [View(job).content() for job in page], "next_cursor": following})


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/tts/jobs/{id}: cancels a job that has not ended; removes one that has."""
    job, gone = await _jobs(request).delete(_owner(request), request.match_info["id"])
    return json_response({"job_id": job.id, "status": job.state, "deleted": gone})


async def events(request: web.Request) -> web.StreamResponse:
    """GET /api/tts/jobs/{id}/events: what becomes of the job, as server-sent events, until it has ended."""
    jobs, limits = _jobs(request), request.app[SERVICES].limits
    owner, job_id = _owner(request), request.match_info["id"]
    await jobs.get(owner, job_id)  # an error has a status of its own only as long as nothing is sent
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )
    async with jobs.listen(owner, job_id, ping_s=limits.ping_s) as views, aclosing(views):
        await send(response.prepare(request), limits.write_timeout_s)
        async for view in views:
            await send(response.write(_event(view)), limits.write_timeout_s)
    await send(response.write_eof(), limits.write_timeout_s)
    return response


async def audio(request: web.Request) -> web.StreamResponse:
    """GET /api/tts/jobs/{id}/audio: the result, or a part of it (Range); of wav and pcm also what there is so far."""
    jobs = _jobs(request)
    job = (await _view(request)).job
    if job.state.ended and job.state is not JobState.DONE:
        raise Conflict(f"there is no audio: the job is {job.state}", code=f"job_{job.state}")
    there = files.audio_bytes(job)
    if not there:
        growing = "" if files.grows_readable(job) else f"; {job.manner.audio_format} can be had when all is spoken"
        raise Conflict(f"there is no audio yet{growing}", code="audio_not_ready", retry_after_s=_AGAIN_S)
    complete = job.state is JobState.DONE
    tag = f'"{job.id}"'
    headers = {
        "Content-Type": CONTENT_TYPES[job.manner.audio_format],
        "Accept-Ranges": "bytes",
        "X-Voice": job.manner.voice,
        "X-Engine": job.manner.engine,
        "X-Sample-Rate": str(job.manner.sample_rate_hz),
    }
    if complete:
        headers |= {"ETag": tag, "X-Audio-Seconds": f"{job.audio_s:.3f}", "Cache-Control": "private"}
    else:
        headers |= {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    span = None
    if request.headers.get("If-Range", tag) == tag:  # else it has a part of another body
        span = ranges.wanted(request.headers.get("Range"), there, complete=complete)
    response = web.StreamResponse(status=HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT, headers=headers)
    if span is not None:
        response.headers["Content-Range"] = ranges.content_range(span, there, complete=complete)
    if span is None and complete:
        span = Span(0, there)
    if span is not None:
        response.content_length = span.end - span.start
    reading = await jobs.open_audio(job)
    try:
        if request.method == "HEAD":
            await send(response.prepare(request), request.app[SERVICES].limits.write_timeout_s)
        elif span is not None:
            await _send_span(request, response, jobs, reading, span)
        else:
            await _send_growing(request, response, jobs, reading, job)
        await send(response.write_eof(), request.app[SERVICES].limits.write_timeout_s)
    finally:
        jobs.close_audio(reading)
    return response


async def end_streams(app: web.Application) -> None:
    """End what goes on for as long as jobs do; called on shutdown."""
    if (jobs := app[SERVICES].jobs) is not None:
        jobs.end_listening()


async def _send_span(
    request: web.Request, response: web.StreamResponse, jobs: Jobs, reading: files.Reading, span: Span
) -> None:
    within_s = request.app[SERVICES].limits.write_timeout_s
    if not response.prepared:
        await send(response.prepare(request), within_s)
    at = span.start
    while at < span.end:
        data = await jobs.read(reading, at, min(READ_BYTES, span.end - at))
        if not data:
            raise TTSError("the audio on the disk is shorter than it was")
        await send(response.write(data), within_s)
        at += len(data)


async def _send_growing(
    request: web.Request, response: web.StreamResponse, jobs: Jobs, reading: files.Reading, job: Job
) -> None:
    """What there is, and what comes, to the end; whoever gets less than all of it is cut off."""
    at = 0
    async with jobs.listen(job.owner, job.id) as views, aclosing(views):
        async for view in views:
            if view is None:
                continue
            job = view.job
            if job.state.ended and job.state is not JobState.DONE:
                break
            there = files.audio_bytes(job)
            await jobs.follow(reading, job)
            await _send_span(request, response, jobs, reading, Span(at, there))
            at = there
    if job.state is not JobState.DONE:
        failure = ShuttingDown("the job is not finished")
        note_failure(request, failure)
        raise failure


def _event(view: View | None) -> bytes:
    if view is None:
        return b": ping\n\n"
    kind = view.job.state if view.job.state.ended else "progress"
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(view.content()))


def _jobs(request: web.Request) -> Jobs:
    jobs = request.app[SERVICES].jobs
    if jobs is None:
        raise JobsUnavailable("this server keeps no jobs")
    return jobs


def _owner(request: web.Request) -> str:
    return request[CALLER].owner


async def _view(request: web.Request) -> View:
    return await _jobs(request).get(_owner(request), request.match_info["id"])
