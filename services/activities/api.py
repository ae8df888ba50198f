"""Mounts the routes of activities."""

from services.activities.attendance.routes import router as attendance
from services.activities.backoffice.routes import router as backoffice
from services.activities.batches.routes import router as batches
from services.activities.codes.routes import router as codes
from services.activities.imports.routes import router as imports
from services.activities.programme.routes import router as programme
from services.activities.signups.routes import router as signups

ROUTERS = (programme, imports, signups, attendance, batches, backoffice, codes)
