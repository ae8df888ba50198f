"""Mounts the routes of assessment."""

from services.assessment.scores.routes import router as scores

ROUTERS = (scores,)
