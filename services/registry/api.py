"""Mounts the routes of registry."""

from services.registry.imports.routes import router as imports
from services.registry.organisations.routes import router as organisations
from services.registry.units.routes import router as units
from services.registry.volunteers.routes import router as volunteers

ROUTERS = (units, organisations, volunteers, imports)
