"""The addresses of the service, one file per noun."""

from fastapi import APIRouter

from . import cache, captions, field, health, history, images, jobs, models, openai, verify

ROUTERS: tuple[APIRouter, ...] = (
    field.router, images.router, images.public, jobs.router, captions.router, history.router, models.router,
    openai.router, verify.router, cache.router, health.router, health.guarded,
)  # fmt: skip
