"""Mounts the routes of registry."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
