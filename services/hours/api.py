"""Mounts the routes of hours."""

from services.hours.ledger.routes import router as ledger

ROUTERS = (ledger,)
